"""The group, server and replica that the quick start works with, and whether its run was proven."""

from __future__ import annotations

import socket
import time
from typing import NamedTuple
from uuid import UUID

from django.db import transaction

from scanner.enrolment import create_token
from scanner.models import Group, Replica, Run, Server

NOTE = "Made by the quick start."


class First(NamedTuple):
    """A replica to hash, and what its collector needs."""

    replica: Replica
    token: str | None
    """None when the server is enrolled."""
    sequence: int
    """Its newest run so far; 0 when there is none."""


class Outcome(NamedTuple):
    """What became of a run."""

    run: Run | None
    """None when none arrived."""
    proven: bool
    said: str


@transaction.atomic
def prepare(root: str, server_uuid: UUID | None) -> First:
    """Find or make the replica of this root (coded) on this machine's server."""
    server = (Server.objects.filter(uuid=server_uuid).first() if server_uuid else None) or _new_server()
    replica = Replica.objects.filter(server=server, root=root, archived_at=None).first()
    if replica is None:
        group = Group.objects.create(name=_free_name(Group, f"{server.name}:{root}"), note=NOTE)
        replica = Replica.objects.create(group=group, server=server, root=root)
    enrolled = server.keys.filter(revoked_at=None).exists() and server.tokens.filter(revoked_at=None).exists()
    newest = replica.runs.order_by("-sequence").values_list("sequence", flat=True).first()
    return First(replica, None if enrolled else create_token(server), newest or 0)


def await_proof(replica_uuid: UUID, after: int, patience: float) -> Outcome:
    """Wait until a run later than `after` is proven or has failed; `patience` seconds without any change end it."""
    state: tuple[object, ...] = ()
    deadline = time.monotonic() + patience
    while True:
        run = _newest(replica_uuid, after)
        outcome = _judge(run)
        if outcome is not None:
            return outcome
        seen = (run.pk, run.state, run.attempts) if run else ()
        if seen != state:
            state, deadline = seen, time.monotonic() + patience
        if time.monotonic() > deadline:
            return Outcome(
                run, False, f"nothing happened for {patience:.0f} s; last seen: {run.state if run else 'no run'}"
            )
        time.sleep(0.3)


def _newest(replica_uuid: UUID, after: int) -> Run | None:
    runs = Run.objects.filter(replica__uuid=replica_uuid, sequence__gt=after).select_related("proof")
    return runs.order_by("-sequence").first()


def _judge(run: Run | None) -> Outcome | None:
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


def _free_name(model: type[Server] | type[Group], wanted: str) -> str:
    """The name, cut to fit, with a number where it is taken."""
    name, number = wanted[:190], 1
    while model.objects.filter(name=name).exists():
        number += 1
        name = f"{wanted[:190]} ({number})"
    return name
