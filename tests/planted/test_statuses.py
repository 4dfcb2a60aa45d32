"""Walk the table of everything that speaks against *proven*, each with runs of a real collector.

Every scenario first brings its replica to *proven*, so that a rule which never lets go would be seen, too.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from checker.findings import actions
from checker.jobs import run_comparisons
from checker.models import Comparison, Finding, GroupComparison, Participant, Proof
from checker.pages import replica_facts
from checker.pages.run_status import assess_run
from checker.pages.status import RULES, Assessment, ReplicaFacts, Status, StatusRule, assess
from checker.proofs.verifier import verify_run
from scanner import enrolment
from scanner.models import Progress, Replica, Run, Server
from tests.checker import stage
from tests.checker.staged_replica import change_kinds
from tests.disk_image import DiskImage, why_no_image
from tests.planted.suite import Road

pytestmark = pytest.mark.django_db(transaction=True)

DOCUMENTATION = Path(__file__).resolve().parents[2] / "docs"


class World:
    """A replica with some files, and its collector."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.root = directory / "root"
        self.root.mkdir()
        self.road = Road(directory, self.root)
        self.user = stage.make_user("operator")

    def write(self, path: str, text: str = "content") -> Path:
        """Write a file below the root, old enough to be believed."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        os.utime(file, (1_600_000_000, 1_600_000_000))
        return file

    def run(self, *, is_compared: bool = True, is_verified: bool = True) -> Run:
        """Make a run, compare it and verify it."""
        run = self.road.run()
        if is_compared:
            run_comparisons.catch_up(run.replica_id)
        if is_verified and run.state == Run.State.INGESTED:
            assert verify_run(run).ok
        return run

    def accept(self, kind: Finding.Kind) -> None:
        """Accept the open findings of a kind."""
        for finding in Finding.objects.filter(kind=kind, state=Finding.State.OPEN):
            actions.accept(finding, self.user, "known")

    def facts(self) -> ReplicaFacts:
        """Return the facts of the replica as the pages read them."""
        replicas = replica_facts.all_replicas().filter(pk=self.road.replica.pk)
        (facts,) = replica_facts.collect_facts(replicas, timezone.now())
        return facts

    def assessment(self) -> Assessment:
        """Return the assessment of the replica."""
        return assess(self.facts())


def mount_image(world: World, directory: str) -> DiskImage:
    """Return a file system to mount over a directory of the root. Skip where nothing can be mounted."""
    if why_no_image():
        pytest.skip(why_no_image())
    place = world.directory / "image"
    place.mkdir()
    image = DiskImage(place, 8)
    image.mount_point = world.root / directory
    return image


LIVE_BYTES = 64 << 20
REWRITE = """
import os, sys
with open(sys.argv[1], "r+b") as stream:
    print("begun", flush=True)
    while True:
        stream.seek(0)
        stream.write(os.urandom(16))
        stream.flush()
        os.utime(sys.argv[1])
"""


@contextlib.contextmanager
def rewriting(file: Path) -> Iterator[None]:
    """Change a file again and again, as a database does: in a process of its own, which waits for no other thread."""
    process = subprocess.Popen([sys.executable, "-c", REWRITE, file], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None and process.stdout.readline() == b"begun\n"
        yield
    finally:
        process.kill()
        process.communicate()


def meet_damage(world: World) -> Status:
    """A file changes although its times say that nobody wrote it."""
    file = world.write("photo")
    world.run()
    before = file.stat()
    file.write_text("CONTENT")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    world.run()
    return Status.ATTENTION


def change_stored_data(world: World) -> Status:
    """Somebody changes a row of the database."""
    run = world.run()
    Run.objects.filter(pk=run.pk).update(files=99)
    verify_run(Run.objects.get(pk=run.pk))
    return Status.DAMAGED


def hold_server(world: World) -> Status:
    """The server is put on hold."""
    Server.objects.update(held_at=timezone.now(), held_reason="two statements")
    return Status.HELD


def lose_memory(world: World) -> Status:
    """The server begins a new chain, and nobody has acknowledged it."""
    run = world.run()
    Run.objects.filter(pk=run.pk).update(break_reason="restored from a backup")
    return Status.ATTENTION


def lose_root(world: World) -> Status:
    """The root is gone: the run fails on its server."""
    world.root.rename(world.directory / "elsewhere")
    world.run()
    return Status.ATTENTION


def be_late(world: World) -> Status:
    """Two days pass without a run."""
    past = timezone.now() - timedelta(days=2)
    Run.objects.update(started_at=past, finished_at=past, received_at=past)
    return Status.ATTENTION


def run_ahead(world: World) -> Status:
    """The server's clock is an hour ahead."""
    run = world.run()
    Run.objects.filter(pk=run.pk).update(finished_at=timezone.now() + timedelta(hours=1))
    return Status.ATTENTION


def lose_a_key(world: World) -> Status:
    """The server's key was in the wrong hands when the newest run came."""
    run = world.run()
    assert run.key is not None
    enrolment.mark_compromised(run.key, run.received_at)
    assert assess_run(Run.objects.get(pk=run.pk)).status == Status.DAMAGED
    return Status.ATTENTION


def set_comparison_aside(world: World) -> Status:
    """A comparison was given up."""
    run = world.run()
    Comparison.objects.filter(run=run).update(state=Comparison.State.SET_ASIDE)
    return Status.UNKNOWN


def lose_the_vote(world: World) -> Status:
    """The comparison of the group could not use the statement."""
    comparison = GroupComparison.objects.create(group=world.road.replica.group, state=GroupComparison.State.DONE)
    Participant.objects.create(
        comparison=comparison, position=1, replica=world.road.replica, status=Participant.Status.UNUSABLE
    )
    return Status.UNKNOWN


def have_no_run(world: World) -> Status:
    """No run has arrived."""
    world.road.replica.findings.all().delete()
    other = Replica.objects.get(pk=world.road.replica.pk)
    other.pk = None
    other.uuid = uuid.uuid4()
    other.root = "/never/read"
    other.save()
    world.road.replica = other
    return Status.UNKNOWN


def wait_for_ingest(world: World) -> Status:
    """A run has arrived and waits."""
    run = world.run()
    Run.objects.filter(pk=run.pk).update(state=Run.State.RECEIVED)
    return Status.UNKNOWN


def die_while_running(world: World) -> Status:
    """A collector is killed: the last that was heard of its run is an hour old."""
    now = timezone.now()
    earlier = now - timedelta(hours=3)
    Run.objects.update(started_at=earlier, finished_at=earlier, received_at=earlier)
    Progress.objects.create(
        uuid=uuid.uuid4(),
        replica=world.road.replica,
        started_at=now - timedelta(hours=2),
        updated_at=now - timedelta(hours=1),
        phase="hash",
    )
    return Status.UNKNOWN


def not_be_compared(world: World) -> Status:
    """The newest run was verified and not yet compared."""
    run = world.run(is_compared=False)
    assert assess_run(run).status == Status.UNKNOWN
    return Status.UNKNOWN


def not_be_verified(world: World) -> Status:
    """The newest run was compared and not yet verified."""
    world.run(is_verified=False)
    return Status.UNKNOWN


def be_switched_off(world: World) -> Status:
    """The replica is switched off."""
    Replica.objects.update(enabled=False)
    return Status.UNKNOWN


def be_unsigned(world: World) -> Status:
    """The replica was imported without a signature."""
    Replica.objects.update(origin=Replica.Origin.UNSIGNED)
    return Status.UNKNOWN


def leave_a_name_out(world: World) -> Status:
    """A name is too long for a line of the report, so that nothing is known of the file."""
    directory = world.root
    descriptor = os.open(directory, os.O_RDONLY)
    # Each byte that is no UTF-8 becomes four characters: a path of 9,000 bytes does not fit in a line.
    for _level in range(36):
        name = b"\xff" * 250
        os.mkdir(name, dir_fd=descriptor)
        below = os.open(name, os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = below
    os.close(os.open("file", os.O_WRONLY | os.O_CREAT, dir_fd=descriptor))
    os.close(descriptor)
    run = world.run()
    assert assess_run(run).status == Status.INCOMPLETE
    return Status.INCOMPLETE


def accept_a_mount(world: World) -> Status:
    """A file system is mounted over known files, and a person accepts that."""
    world.write("photos/one")
    world.run()
    with mount_image(world, "photos"):
        run = world.run()
    world.accept(Finding.Kind.MOUNTED_OVER)
    assert assess_run(run).status == Status.INCOMPLETE
    return Status.INCOMPLETE_ACCEPTED


SCENARIOS: dict[str, Callable[[World], Status]] = {
    "finding": meet_damage,
    "stored-data": change_stored_data,
    "compromised-key": lose_a_key,
    "held-server": hold_server,
    "new-chain": lose_memory,
    "bad-run": lose_root,
    "late": be_late,
    "clock": run_ahead,
    "failed-step": set_comparison_aside,
    "left-out": lose_the_vote,
    "no-run": have_no_run,
    "waiting-run": wait_for_ingest,
    "silent-run": die_while_running,
    "not-compared": not_be_compared,
    "not-verified": not_be_verified,
    "switched-off": be_switched_off,
    "unsigned": be_unsigned,
    "unread": leave_a_name_out,
    "accepted-mount": accept_a_mount,
}


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A replica that is proven."""
    world = World(tmp_path)
    world.write("kept")
    world.run()
    assert world.assessment() == (Status.PROVEN, (), ())
    return world


def shown_statuses(page: str) -> set[str]:
    """Return the statuses that a page shows."""
    return set(re.findall(r"state state-(\w+)", page))


def test_every_rule_has_a_scenario() -> None:
    """No rule is left without a test, and no scenario without its rule."""
    assert set(SCENARIOS) == {rule.name for rule in RULES}


def status_lines(language: str) -> dict[str, list[str]]:
    """Return the lines of the lists in the section of each status, as the page of everyday work has them."""
    page = (DOCUMENTATION / language / "everyday.md").read_text(encoding="utf-8")
    page = page[: page.index('<a id="findings"></a>')]
    sections = re.split(r'<a id="status-(\w+)"></a>', page)[1:]
    return {
        name: [" ".join(line.split()) for line in re.findall(r"^- ((?:.+\n)(?:  .+\n)*)", text, re.MULTILINE)]
        for name, text in zip(sections[::2], sections[1::2], strict=True)
    }


def test_every_rule_is_documented() -> None:
    """Each status has a section in both languages, with as many reasons; the English ones are those of the table."""
    english = status_lines("en")
    russian = status_lines("ru")
    assert set(english) == set(russian) == set(Status.values)
    assert {name: len(lines) for name, lines in english.items()} == {
        name: len(lines) for name, lines in russian.items()
    }

    lines = [line for section in english.values() for line in section]
    missing = [rule.name for rule in RULES if not any(line.startswith(rule.description) for line in lines)]
    assert not missing


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_rule_keeps_a_replica_from_green(rule: StatusRule, world: World) -> None:
    """Each rule gives the status that is documented, with a reason, on the pages as well."""
    status = SCENARIOS[rule.name](world)

    assert rule.reasons(world.facts())
    assert world.assessment().status == status

    client = Client()
    client.force_login(world.user)
    page = client.get(reverse("replica", args=[world.road.replica.uuid])).content.decode()
    assert f"state-{status}" in page
    assert "notice-proven" not in page


def test_the_file_of_a_live_database(world: World) -> None:
    """A file that changes during each read is unread: incomplete at once, a finding in the third run, never green."""
    file = world.write("live.db")
    # Large enough that somebody writes while it is read, however busy the machine is.
    os.truncate(file, LIVE_BYTES)
    world.run()
    with rewriting(file):
        world.run()
        assert world.assessment().status == Status.INCOMPLETE
        assert world.assessment().reasons[0].text == "1 path could not be read in run 3: it is not proven."
        assert not Finding.objects.exists()

        world.run()
        world.run()
        assert world.assessment().status == Status.ATTENTION

        world.accept(Finding.Kind.UNSTABLE)
        assert world.assessment().status == Status.INCOMPLETE_ACCEPTED

    world.run()
    assert world.assessment().status == Status.PROVEN


def test_an_empty_root_is_unknown_until_somebody_says_so(tmp_path: Path) -> None:
    """A first run that found nothing proves nothing. A person may say that it is right; the first file ends that."""
    world = World(tmp_path)
    world.run()
    assert world.assessment().status == Status.UNKNOWN
    assert "Nothing was found in run 1" in world.assessment().reasons[0].text

    world.run()
    assert Finding.objects.filter(kind=Finding.Kind.EMPTY).count() == 1

    world.accept(Finding.Kind.EMPTY)
    assert world.assessment().status == Status.PROVEN

    world.write("first")
    world.run()
    assert Finding.objects.get(kind=Finding.Kind.EMPTY).state == Finding.State.RESOLVED
    assert world.assessment().status == Status.PROVEN


def test_a_socket_is_content(tmp_path: Path) -> None:
    """A root that holds only a socket is not empty."""
    world = World(tmp_path)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(world.root / "socket"))
        world.run()
    assert not Finding.objects.exists()


def test_files_behind_a_mount_and_back(world: World) -> None:
    """Files behind a new mount are unknown, and neither removed nor added; unmounted, all is as it was."""
    for name in ("one", "two", "three"):
        world.write(f"photos/{name}", name)
    world.run()
    with mount_image(world, "photos"):
        hidden = world.run()
        comparison = Comparison.objects.get(run=hidden)
        assert change_kinds(comparison) == dict.fromkeys(["photos/one", "photos/two", "photos/three"], "unknown") | {
            "photos": "added"
        }
        assert world.assessment().status == Status.INCOMPLETE
        assert "3 known paths are hidden behind the mount photos/" in world.assessment().reasons[0].text
        assert assess_run(hidden).status == Status.INCOMPLETE

        world.run()
        assert world.assessment().status == Status.INCOMPLETE

    world.run()
    finding = Finding.objects.get()
    assert (finding.kind, finding.state) == (Finding.Kind.MOUNTED_OVER, Finding.State.RESOLVED)
    assert world.assessment().status == Status.PROVEN


def test_a_run_that_found_damage_is_not_green(world: World) -> None:
    """Runs have the status of what they found, from the one that found it until the one that proved its end."""
    first = world.run()
    world.write("photo")
    world.run()
    file = world.root / "photo"
    file.write_text("CONTENT")
    os.utime(file, (1_600_000_000, 1_600_000_000))
    damaged = world.run()
    still = world.run()
    world.write("photo")
    over = world.run()

    statuses = [assess_run(Run.objects.get(pk=run.pk)).status for run in (first, damaged, still, over)]
    assert statuses == [Status.PROVEN, Status.ATTENTION, Status.ATTENTION, Status.PROVEN]
    assert Proof.objects.filter(ok=True).count() == Run.objects.count()

    client = Client()
    client.force_login(User.objects.get(pk=world.user.pk))
    page = client.get(reverse("run", args=[damaged.uuid])).content.decode()
    assert "chip-attention" in page and "chip-proven" not in page


@pytest.mark.parametrize(("offset", "word"), [(3600, "1 h ahead"), (-3600, "1 h behind")])
def test_a_clock_that_is_off(world: World, offset: int, word: str) -> None:
    """A server that says another time than this one has is not green, whatever its runs say; five minutes are fine."""
    Server.objects.update(clock_offset_s=offset)
    assert world.assessment().status == Status.ATTENTION
    assert word in world.assessment().reasons[0].text

    Server.objects.update(clock_offset_s=offset // 12)
    assert world.assessment().status == Status.PROVEN


def test_a_finding_between_replicas_marks_no_run_before_it(world: World) -> None:
    """Damage that the comparison of the copies finds is that of the run which was compared, and of those after it."""
    before = world.run()
    compared = world.run()
    Finding.objects.create(
        group=world.road.replica.group,
        replica=None,
        kind=Finding.Kind.MISMATCH,
        severity=Finding.Severity.CRITICAL,
        path="kept",
        first_run=compared,
        last_run=compared,
        concerns=[world.road.replica.pk],
        evidence={"damaged": [world.road.replica.pk]},
    )
    after = world.run()

    runs = [Run.objects.get(pk=run.pk) for run in (before, compared, after)]
    assert [assess_run(run).status for run in runs] == [Status.PROVEN, Status.DAMAGED, Status.DAMAGED]
