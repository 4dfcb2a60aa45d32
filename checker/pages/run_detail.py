"""Read what the page of a run shows: the run, its statement, its proof and its neighbours; and how far it is."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from django.utils.translation import gettext_lazy

from checker.models import Proof
from scanner.format.envelope import open_envelope
from scanner.format.errors import ReportError
from scanner.format.statement import Statement, read_statement
from scanner.models import Progress, Run

PROOF_PATIENCE = timedelta(minutes=10)
"""How long after ingest a page waits for the proof."""
SILENCE = timedelta(minutes=1)
"""A server that has not reported progress for longer is called silent."""
MIN_WORK_TIME_NS = 10**8
"""A shorter run says nothing about the speed of its disk."""

PHASES = {
    "walk": gettext_lazy("looking for files"),
    "hash": gettext_lazy("hashing"),
    "confirm": gettext_lazy("reading again"),
    "write": gettext_lazy("writing"),
    "send": gettext_lazy("sending"),
    "ingest": gettext_lazy("ingesting"),
    "proof": gettext_lazy("verifying"),
}
"""Phases of a run in their order; the first five happen on its server."""


class Tool(NamedTuple):
    """A tool that computed digests. All of it is text that came from a server."""

    algorithm: str
    path: str
    version: str


class RunDetail(NamedTuple):
    """Everything that the page of a run shows."""

    run: Run
    statement: Statement | None
    """None for an unsigned import, and for a stored envelope that can no longer be read."""
    payload: str
    """The statement exactly as it was signed."""
    proof: Proof | None
    previous: Run | None
    following: Run | None
    files_changed: int | None
    """How many more files than the complete run before; negative for fewer, None without such a run."""

    @property
    def bytes_per_second(self) -> int | None:
        """Return the speed of the run; None when it was too short to tell."""
        if self.run.work_time_ns <= MIN_WORK_TIME_NS:
            return None
        return self.run.bytes * 10**9 // self.run.work_time_ns

    @property
    def payload_lines(self) -> list[str]:
        """Return the payload in lines of one member each."""
        if not self.payload:
            return []
        return json.dumps(json.loads(self.payload), ensure_ascii=False, indent=2).splitlines()

    @property
    def tools(self) -> list[Tool]:
        """Return the tools that computed digests."""
        if self.statement is None:
            return []

        tools = self.statement.engine["tools"]
        return [Tool(tool["algorithm"], tool["path"], tool["version"]) for tool in tools]


class RunProgress(NamedTuple):
    """Progress of a run, from its first message to its proof."""

    uuid: UUID
    progress: Progress | None
    run: Run | None
    is_over: bool
    """Nothing more will happen by itself."""
    is_silent: bool = False
    """Its server has been silent for some time."""

    @property
    def stage(self) -> str:
        """Return a word that changes when the page must show something else."""
        if self.run is None:
            return "running"
        return self.run.state

    @property
    def phases(self) -> list[tuple[str, str]]:
        """Return each phase with its state: `done`, `now` or `next`."""
        names = list(PHASES)
        current = names.index(self._phase)

        phases = []
        for position, label in enumerate(PHASES.values()):
            state = "next"
            if position < current:
                state = "done"
            elif position == current:
                state = "now"
            phases.append((str(label), state))
        return phases

    @property
    def _phase(self) -> str:
        if self.run is not None:
            return "ingest" if self.run.state == Run.State.RECEIVED else "proof"
        # A newer collector may report a phase that this version does not know.
        if self.progress is not None and self.progress.phase in PHASES:
            return self.progress.phase
        return "walk"


def load_run(uuid: UUID) -> Run | None:
    """Return the run with everything that its page needs; None when there is none."""
    return Run.objects.select_related("replica__group", "replica__server", "key", "proof").filter(uuid=uuid).first()


def describe_run(run: Run) -> RunDetail:
    """Return everything that the page of a run shows. The run came from `load_run`."""
    runs = Run.objects.filter(replica=run.replica_id).defer("envelope")
    earlier = runs.filter(sequence__lt=run.sequence).order_by("-sequence")
    later = runs.filter(sequence__gt=run.sequence).order_by("sequence")

    files_changed = None
    if run.state == Run.State.INGESTED:
        previous_complete = earlier.filter(state=Run.State.INGESTED).first()
        if previous_complete is not None:
            files_changed = run.files - previous_complete.files

    statement, payload = _read_statement(run)
    return RunDetail(
        run,
        statement,
        payload,
        proof=newest_proof(run),
        previous=earlier.first(),
        following=later.first(),
        files_changed=files_changed,
    )


def newest_proof(run: Run) -> Proof | None:
    """Return the newest verification of a run, if there was one."""
    return getattr(run, "proof", None)


def track_run(uuid: UUID, now: datetime) -> RunProgress | None:
    """Return how far the run of this uuid is; None when neither a report nor a message of it has arrived."""
    run = load_run(uuid)
    if run is not None:
        return RunProgress(uuid, None, run, is_over=_is_over(run, now))

    progress = Progress.objects.select_related("replica__group", "replica__server").filter(uuid=uuid).first()
    if progress is None:
        return None

    is_silent = now - progress.updated_at > SILENCE
    return RunProgress(uuid, progress, None, is_over=False, is_silent=is_silent)


def _is_over(run: Run, now: datetime) -> bool:
    if run.state == Run.State.RECEIVED:
        return False
    # An unsigned import has no envelope and is never verified.
    waits_for_proof = run.state == Run.State.INGESTED and run.envelope is not None and newest_proof(run) is None
    if not waits_for_proof:
        return True

    # A page does not ask for ever: after some time it says what it knows.
    return run.ingested_at is not None and now - run.ingested_at > PROOF_PATIENCE


def _read_statement(run: Run) -> tuple[Statement | None, str]:
    if run.envelope is None:
        return None, ""
    try:
        payload = open_envelope(bytes(run.envelope)).payload
        return read_statement(payload), payload.decode()
    except ReportError:
        return None, ""  # somebody changed the row: the proof, which stands beside it, says so
