"""Verification of many runs: what is common to those of a replica is looked at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple
from uuid import UUID

from django.utils.translation import gettext

from checker.proofs import queries
from checker.proofs.verification import Verification
from checker.proofs.verifier import RunVerifier, store_proof
from scanner.lookup import find_run
from scanner.models import Replica, Run


class Remark(NamedTuple):
    """Something that concerns no single run."""

    ok: bool
    text: str


def verify_runs(names: Sequence[str], replicas: Sequence[str], everything: bool) -> Iterator[Verification | Remark]:
    """Verdicts on the named runs, on all runs of the named replicas, and on all there are; each is kept as a proof.

    Raises LookupError for a name that means nothing, before the first verdict.
    """
    runs = [find_run(name) for name in names]
    chosen = [_replica(name) for name in replicas]
    for run in runs:
        yield from _verified(RunVerifier(run.replica), [run])
    for replica in chosen:
        yield from _whole(replica)
    if everything:
        yield from _all()


def _all() -> Iterator[Verification | Remark]:
    for replica in Replica.objects.filter(origin=Replica.Origin.COLLECTOR).select_related("server", "group"):
        yield from _whole(replica)
    lost = queries.find_orphaned_replicas()
    if lost:
        yield Remark(False, gettext("The history has rows of replicas that do not exist: %(ids)s") % {"ids": lost[:10]})
    unsigned = Run.objects.filter(replica__origin=Replica.Origin.UNSIGNED).count()
    if unsigned:
        text = gettext(
            "Runs imported without a signature: %(count)d. Nobody vouches for them, and they are not verified here."
        )
        yield Remark(True, text % {"count": unsigned})


def _whole(replica: Replica) -> Iterator[Verification | Remark]:
    """Every run of a replica; one that the table has lost altogether is found by its journal or its rows."""
    inquiry = RunVerifier(replica)
    if not inquiry.chain.last:
        for fault in inquiry.chain.faults:
            yield Remark(False, f"{replica.uuid}: {gettext(fault.message) % fault.values}")
        if not inquiry.structure.ok:
            yield Remark(False, f"{replica.uuid}: {inquiry.structure.text}")
        return
    runs = Run.objects.filter(replica=replica, sequence__lte=inquiry.chain.last)
    runs = runs.select_related("replica__server", "replica__group", "key")
    yield from _verified(inquiry, runs.order_by("sequence").iterator(chunk_size=100))


def _verified(inquiry: RunVerifier, runs: Iterable[Run]) -> Iterator[Verification]:
    for run in runs:
        verdict = inquiry.verify(run)
        store_proof(verdict)
        yield verdict


def _replica(name: str) -> Replica:
    try:
        found = Replica.objects.select_related("server", "group").filter(uuid=UUID(name)).first()
    except ValueError as error:
        raise LookupError(f"{name[:100]!r} is no uuid of a replica") from error
    if found is None:
        raise LookupError(f"there is no replica {name[:100]}")
    return found
