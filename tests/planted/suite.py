"""The road of a planted tree: the collector reads it, the centre takes the report in, compares and judges."""

from __future__ import annotations

import shutil
import subprocess
import sysconfig
import uuid
from collections import Counter
from pathlib import Path
from typing import Any

from checker.jobs import run_comparisons
from checker.models import Change, Comparison
from scanner import scopes
from scanner.collector.delivery import identity
from scanner.collector.delivery.spool import Spool
from scanner.collector.engines.choice import EngineChoice
from scanner.collector.run.limits import ResourceLimits
from scanner.collector.run.progress import Progress
from scanner.collector.run.replica_run import ReplicaRunner
from scanner.collector.run.statement import Job
from scanner.ingest import worker
from scanner.models import Replica, Run
from tests.disk_image import DiskImage
from tests.planted.plant import Gardener
from tests.scanner import factories

FILES = 3000
LARGEST = 200_000
MEGABYTES = 120
Matrix = Counter[tuple[str, str]]
"""How often what was expected met what was said; `none` for no change."""
ENGINES: dict[str, EngineChoice] = {}
"""Chosen once: a trial of tools a seed would take longer than the seed."""


class Road:
    """A replica on the central server and its collector, in this process."""

    def __init__(self, directory: Path, root: Path, state: Path | None = None, **replica: Any) -> None:
        """`state` is the state directory of a server that has several replicas."""
        self.replica: Replica = factories.make_replica(root=str(root), **replica)
        state = state or directory / "state"
        own = identity.ensure_identity(state)
        key = identity.load_key(state, own.key)
        if not self.replica.server.keys.filter(keyid=key.keyid).exists():
            factories.register_key(self.replica.server, key.public)
        self._runner = ReplicaRunner(key, ResourceLimits(2, None), (), lambda _replica: None, print)
        self._runner._choices = ENGINES
        self._directory = directory / "replica"
        self._root = root
        self._begun = False
        Spool(self._directory).prepare()

    def run(self, excludes: str = "") -> Run:
        """One run, ingested."""
        group = self.replica.group
        group.excludes = excludes
        group.save()
        scopes.record_scope(group)
        identifiers = (str(self.replica.server.uuid), str(self.replica.uuid), str(group.uuid))
        job = Job(*identifiers, group.name, bytes(self._root), excludes, "hashlib", False, None, self._directory)
        made = self._runner.run(job, str(uuid.uuid4()), None, self._begun, Progress())
        self._begun = True
        receipt = factories.receive(self.replica.server, made.report.path.read_bytes())
        worker.ingest_replica(self.replica.pk)
        receipt.run.refresh_from_db()
        return receipt.run

    def verdicts(self, run: Run) -> dict[str, str]:
        """Return the kind of change of each path; a path that left by a move has a `-`."""
        run_comparisons.catch_up(self.replica.pk)
        comparison = Comparison.objects.get(run=run, adjacent=True)
        assert comparison.state == Comparison.State.DONE, comparison.reason
        changes = Change.objects.filter(comparison_id=comparison.pk)
        return {change.path: ("-" if change.departed else "") + change.kind for change in changes}


def base_image(directory: Path, files: int = FILES, megabytes: int = MEGABYTES) -> Path:
    """An image with so many real files of this machine."""
    with DiskImage(directory, megabytes) as image:
        root = image.mount_point / "data"
        copied = 0
        library = Path(sysconfig.get_path("stdlib"))
        for path in sorted(library.rglob("*")):
            small = path.is_file() and not path.is_symlink() and path.stat().st_size <= LARGEST
            if not small or {"__pycache__", "site-packages"} & set(path.parts) or not path.name.isascii():
                continue
            target = root / path.relative_to(library)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, target)
            copied += 1
            if copied == files:
                break
        (root / "empty-file").touch()
        (root / "a-link").symlink_to("os.py")
        image.age_files()  # younger stamps would prove nothing
    return image.file


def grow(directory: Path, base: Path, seed: int) -> Matrix:
    """One seed, from the base image to the verdicts of four runs."""
    directory.mkdir(parents=True)
    subprocess.run(["cp", "--sparse=always", str(base), str(directory / "image")], check=True)
    with DiskImage(directory) as image:
        root = image.mount_point / "data"
        road = Road(directory, root)
        matrix = Matrix()
        road.run()
        gardener = Gardener(image, root, seed)
        gardener.prelude()
        matrix += judged(gardener, road)
        gardener.plant()
        matrix += judged(gardener, road)
        with image.unmounted():
            failed = road.run()
        assert failed.state == Run.State.FAILED and not Comparison.objects.filter(run=failed).exists()
        scope = gardener.reserved[2]
        gardener.mend(scope)
        matrix += judged(gardener, road, f"/{gardener.name(scope)}/")
    return matrix


def judged(gardener: Gardener, road: Road, excludes: str = "") -> Matrix:
    """A run, and how what is said of each path meets what was expected."""
    verdicts = road.verdicts(road.run(excludes))
    paths = {*verdicts, *gardener.expected}
    wrong = {
        path: (gardener.expected.get(path), verdicts.get(path))
        for path in paths
        if gardener.expected.get(path) != verdicts.get(path)
    }
    for path, (expected, got) in sorted(wrong.items())[:20]:
        print(f"{path}: expected {expected}, got {got}")
    return Matrix((gardener.expected.get(path, "none"), verdicts.get(path, "none")) for path in paths)


def table(matrix: Matrix) -> str:
    """The confusion matrix, expected × got."""
    names = sorted({name for pair in matrix for name in pair})
    width = max(map(len, names)) + 1
    lines = [" " * width + "".join(f"{name:>{width}}" for name in names)]
    lines += [
        f"{row:<{width}}" + "".join(f"{matrix[row, column] or '.':>{width}}" for column in names) for row in names
    ]
    return "\n".join(lines)
