"""Make the group, server and replica of the quick start, and wait until its run is proven."""

from __future__ import annotations

import socket
import time
from typing import NamedTuple
from uuid import UUID

from django.db import transaction

from scanner.enrolment import create_token
from scanner.models import Group, Replica, Run, Server

NOTE = "Made by the quick start."


class QuickstartReplica(NamedTuple):
    """A replica to hash, and what its collector needs."""

    replica: Replica
    token: str | None
    """None when the server is enrolled."""
    sequence: int
    """Number of its newest run so far; 0 when there is none."""


class Outcome(NamedTuple):
    """End of the quick start's run."""

    run: Run | None
    """None when none arrived."""
    proven: bool
    message: str


@transaction.atomic
def prepare(root: str, server_uuid: UUID | None) -> QuickstartReplica:
    """Find or make the replica of this root (coded) on this machine's server."""
    server = None
    if server_uuid is not None:
        server = Server.objects.filter(uuid=server_uuid).first()
    if server is None:
        server = _new_server()

    replica = Replica.objects.filter(server=server, root=root, archived_at=None).first()
    if replica is None:
        group = Group.objects.create(name=_free_name(Group, f"{server.name}:{root}"), note=NOTE)
        replica = Replica.objects.create(group=group, server=server, root=root)

    # A collector needs both: a key to sign with, and a bearer token to upload with.
    is_enrolled = server.keys.filter(revoked_at=None).exists() and server.tokens.filter(revoked_at=None).exists()
    token = None
    if not is_enrolled:
        token = create_token(server)

    newest = replica.runs.order_by("-sequence").values_list("sequence", flat=True).first()
    return QuickstartReplica(replica, token, newest or 0)


def await_proof(replica_uuid: UUID, after: int, patience: float) -> Outcome:
    """Wait until a run later than `after` is proven or has failed, or `patience` seconds bring no change."""
    last_state: tuple[object, ...] = ()
    deadline = time.monotonic() + patience
    while True:
        run = _newest_run(replica_uuid, after)
        outcome = _outcome_of(run)
        if outcome is not None:
            return outcome

        state: tuple[object, ...] = ()
        if run is not None:
            state = (run.pk, run.state, run.attempts)
        if state != last_state:
            last_state = state
            deadline = time.monotonic() + patience

        if time.monotonic() > deadline:
            last_seen = "no run"
            if run is not None:
                last_seen = run.state
            return Outcome(run, False, f"nothing happened for {patience:.0f} s; last seen: {last_seen}")

        time.sleep(0.3)


def _newest_run(replica_uuid: UUID, after: int) -> Run | None:
    runs = Run.objects.filter(replica__uuid=replica_uuid, sequence__gt=after).select_related("proof")
    return runs.order_by("-sequence").first()


def _outcome_of(run: Run | None) -> Outcome | None:
    if run is None:
        return None
    if run.state in (Run.State.FAILED, Run.State.REFUSED, Run.State.SET_ASIDE):
        return Outcome(run, False, f"{run.get_state_display()}: {run.reason}")

    proof = getattr(run, "proof", None)
    if run.state != Run.State.INGESTED or proof is None:
        return None
    if proof.ok:
        return Outcome(run, True, "proven")
    broken = "; ".join(str(part["text"]) for part in proof.statements if not part["ok"])
    return Outcome(run, False, f"not proven: {broken}")


def _new_server() -> Server:
    return Server.objects.create(name=_free_name(Server, socket.gethostname() or "localhost"), note=NOTE)


def _free_name(model: type[Server] | type[Group], preferred: str) -> str:
    """Return the name, cut to fit, with a number where it is taken."""
    base = preferred[:190]
    name = base
    number = 1
    while model.objects.filter(name=name).exists():
        number += 1
        name = f"{base} ({number})"
    return name
