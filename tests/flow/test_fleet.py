"""One planted group on the whole road: three collectors as processes, each on a server of its own, and the centre."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.disk_image import why_no_image
from tests.flow import namespaces
from tests.flow.namespaces import Central, FarCollector, Network
from tests.flow.processes import Collector, RunningSystem, wait_for
from tests.planted.fleet import FILES, MEGABYTES, mounted
from tests.planted.scatter import Scatter
from tests.planted.suite import base_image

PLACES = 3
MAKE = """
import os
from scanner.format import paths
from scanner.enrolment import create_token
from scanner.models import Group, Replica, Server
group = Group.objects.create(name="photos")
for at, root in enumerate({roots!r}):
    server = Server.objects.create(name=f"place {{at}}")
    Replica.objects.create(group=group, server=server, root=paths.encode(os.fsencode(root)))
    print(create_token(server))
"""
COMPARED = """
SELECT count(*) FROM checker_participant AS participant
JOIN checker_groupcomparison AS made ON made.id = participant.comparison_id
JOIN scanner_run AS run ON run.id = participant.run_id WHERE made.state = 'done' AND run.sequence = {}
"""
DIVERGENCES = "SELECT path, kind, cells, judged FROM checker_divergence"


class Scene(NamedTuple):
    """The processes of the road, the planted trees, and how many nights have passed."""

    system: RunningSystem
    collectors: list[Collector]
    scatter: Scatter

    def night(self, number: int) -> dict[str, tuple[str, str, str]]:
        """A run of each at once, proven and compared; what is said of each path then."""
        begun = [collector.start("run", "--json") for collector in self.collectors]
        for group in begun:
            assert group.process is not None
            assert group.process.wait(120) in (0, 1), group.log.read_text(encoding="utf-8")
        self.system.await_proofs(PLACES * number, 120)
        compared = COMPARED.format(number)
        wait_for(lambda: self.system.query(compared) == [(PLACES,)], 150, "the comparison of the group")
        return {path: (kind, cells, judged) for path, kind, cells, judged in self.system.query(DIVERGENCES)}


@pytest.fixture
def scene(pattern: RunningSystem, tmp_path: Path) -> Iterator[Scene]:
    """Three enrolled collectors; gone after the test."""
    if why_no_image():
        pytest.skip(why_no_image())
    (tmp_path / "base").mkdir()
    base = base_image(tmp_path / "base", FILES, MEGABYTES)
    with contextlib.ExitStack() as stack:
        scatter = Scatter(stack.enter_context(mounted(tmp_path, base, PLACES)), 0)
        directories = [tmp_path / f"collector{number}" for number in range(PLACES)]
        if namespaces.missing(pattern.own_database):
            system = RunningSystem(tmp_path / "central", pattern.maintenance, pattern)
            collectors = [Collector(directory, system.url) for directory in directories]
        else:
            network = stack.enter_context(Network(PLACES))
            system = central = Central(tmp_path / "central", pattern.maintenance, pattern, network)
            collectors = [
                FarCollector(directory, central, name)
                for directory, name in zip(directories, network.names, strict=True)
            ]
        stack.callback(system.stop)
        system.start()
        tokens = system.shell(MAKE.format(roots=[os.fspath(root) for root in scatter.roots])).split()
        for collector, token in zip(collectors, tokens, strict=True):
            enrolled = collector("enroll", token)
            assert enrolled.returncode == 0, enrolled.stderr
        yield Scene(system, collectors, scatter)


def test_a_group_from_three_servers(scene: Scene) -> None:
    """The central server says of each path what was planted on the servers' disks, night for night."""
    scatter = scene.scatter
    steps = (scatter.before_the_first, scatter.edits_for_all, scatter.scatter, scatter.spread)
    for number, prepare in enumerate(steps, 1):
        prepare()
        comparison_output = scene.night(number)
        expected = {path: tuple(expectation[:3]) for path, expectation in scatter.expected.items() if expectation.kind}
        wrong = {path: (expected.get(path), comparison_output.get(path)) for path in {*expected, *comparison_output}}
        assert not {path: pair for path, pair in wrong.items() if pair[0] != pair[1]}
    if isinstance(scene.system, Central):
        assert scene.system.visitors() == set(scene.system.network.addresses)
