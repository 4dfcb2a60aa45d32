"""Runs of staged replicas, and the findings that they leave open."""

from __future__ import annotations

from checker.models import Finding
from tests.checker import stage
from tests.checker.staged_replica import LATER_MTIME, StagedReplica, file


def open_findings(replica: StagedReplica) -> list[tuple[str, str, int]]:
    """Compare all runs of a replica. Return its open findings as kind, path (of a directory with its slash), number."""
    replica.compare()
    findings = Finding.objects.filter(replica=replica.replica, state=Finding.State.OPEN).order_by("kind", "path")
    return [(finding.kind, finding.path, finding.number) for finding in findings]


def run_with_changes(replica: StagedReplica, files: int, changed: int, content: bytes = b"changed") -> None:
    """Add a run of so many files, the first of which hold something else than at first."""
    entries = []
    for number in range(files):
        if number < changed:
            mtime_ns = LATER_MTIME + len(content)
            entries.append(file(f"f{number}", content + b"%d" % number, mtime_ns=mtime_ns))
        else:
            entries.append(file(f"f{number}", b"%d" % number, mtime_ns=LATER_MTIME))
    replica.run(entries)


def prove_runs(replica: StagedReplica) -> None:
    """Compare and prove each run of a replica."""
    replica.compare()
    for run in replica.replica.runs.all():
        stage.make_proof(run)
