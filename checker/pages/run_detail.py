"""What the page of a run tells: the run, its statement, its proof and its neighbours."""

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

PATIENCE = timedelta(minutes=10)
"""How long after ingest a page goes on waiting for the proof."""

PHASES = {
    "walk": gettext_lazy("looking for files"),
    "hash": gettext_lazy("hashing"),
    "confirm": gettext_lazy("reading again"),
    "write": gettext_lazy("writing"),
    "send": gettext_lazy("sending"),
    "ingest": gettext_lazy("ingesting"),
    "proof": gettext_lazy("verifying"),
}
"""What a run goes through, in this order; the first five on its server."""
_PHASE_STATES = {-1: "done", 0: "now", 1: "next"}


class Story(NamedTuple):
    """All that the page of a run shows."""

    run: Run
    statement: Statement | None
    """None for an unsigned import, and for an envelope in the table that cannot be read any more."""
    payload: str
    """The statement as it was signed."""
    proof: Proof | None
    previous: Run | None
    following: Run | None
    files_changed: int | None
    """More (or fewer) files than the complete run before; None without one."""

    @property
    def rate(self) -> int | None:
        """Bytes hashed in a second; None for a run too short to tell."""
        return self.run.bytes * 10**9 // self.run.work_time_ns if self.run.work_time_ns > 10**8 else None

    @property
    def pretty(self) -> list[str]:
        """The payload's lines with one member each."""
        return json.dumps(json.loads(self.payload), ensure_ascii=False, indent=2).splitlines() if self.payload else []

    @property
    def tools(self) -> list[Tool]:
        """The tools that computed digests, as the collector names them; the statement says more of them."""
        said = self.statement.engine["tools"] if self.statement else None
        known = [tool for tool in said if isinstance(tool, dict)] if isinstance(said, list) else []
        return [Tool(*(str(tool.get(key, "")) for key in Tool._fields)) for tool in known]


class Tool(NamedTuple):
    """What computed a digest: text that came from a server."""

    algorithm: str
    path: str
    version: str


class Course(NamedTuple):
    """How far a run is, from its first message to its proof."""

    uuid: UUID
    progress: Progress | None
    run: Run | None
    over: bool
    """Whether nothing more will happen by itself."""
    silent: bool = False
    """Whether its server has not been heard of for some time."""

    @property
    def stage(self) -> str:
        """Where it is, in a word that changes when the page must show something else."""
        return "running" if self.run is None else self.run.state

    @property
    def phases(self) -> list[tuple[str, str]]:
        """Each phase with its state: `done`, `now` or `next`."""
        at = list(PHASES).index(self._phase)
        return [(str(label), _PHASE_STATES[(place > at) - (place < at)]) for place, label in enumerate(PHASES.values())]

    @property
    def _phase(self) -> str:
        if self.run is not None:
            return "ingest" if self.run.state == Run.State.RECEIVED else "proof"
        return self.progress.phase if self.progress is not None and self.progress.phase in PHASES else "walk"


def find_run(uuid: UUID) -> Run | None:
    """The run with what its page needs."""
    return Run.objects.select_related("replica__group", "replica__server", "key", "proof").filter(uuid=uuid).first()


def tell(run: Run) -> Story:
    """The story of `run`, which came from `find_run`."""
    of_replica = Run.objects.filter(replica=run.replica_id).defer("envelope")
    before = of_replica.filter(sequence__lt=run.sequence).order_by("-sequence")
    complete = before.filter(state=Run.State.INGESTED).first() if run.state == Run.State.INGESTED else None
    statement, payload = _statement(run)
    return Story(
        run,
        statement,
        payload,
        proof_of(run),
        before.first(),
        of_replica.filter(sequence__gt=run.sequence).order_by("sequence").first(),
        None if complete is None else run.files - complete.files,
    )


def proof_of(run: Run) -> Proof | None:
    """The newest verification of a run, if there was one."""
    return getattr(run, "proof", None)


def course(uuid: UUID, now: datetime) -> Course | None:
    """How far the run of this uuid is; None when nobody has heard of it."""
    run = find_run(uuid)
    if run is not None:
        return Course(uuid, None, run, _is_over(run, now))
    progress = Progress.objects.select_related("replica__group", "replica__server").filter(uuid=uuid).first()
    if progress is None:
        return None
    return Course(uuid, progress, None, over=False, silent=now - progress.updated_at > timedelta(minutes=1))


def _is_over(run: Run, now: datetime) -> bool:
    if run.state == Run.State.RECEIVED:
        return False
    waits_for_proof = run.state == Run.State.INGESTED and proof_of(run) is None and run.envelope is not None
    return not waits_for_proof or (run.ingested_at is not None and now - run.ingested_at > PATIENCE)


def _statement(run: Run) -> tuple[Statement | None, str]:
    if run.envelope is None:
        return None, ""
    try:
        payload = open_envelope(bytes(run.envelope)).payload
        return read_statement(payload), payload.decode()
    except ReportError:
        return None, ""  # somebody changed the row: the proof, which is shown beside it, names that
