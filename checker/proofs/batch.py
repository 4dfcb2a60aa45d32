"""Verify many runs. What the runs of a replica have in common is checked once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple
from uuid import UUID

from django.utils.translation import gettext

from checker.proofs import queries
from checker.proofs.verification import Outcome, Verification
from checker.proofs.verifier import RunVerifier, store_proof
from scanner.lookup import find_run
from scanner.models import Replica, Run


class Remark(NamedTuple):
    """Something that concerns no single run."""

    ok: bool
    text: str

    @property
    def outcome(self) -> Outcome:
        """Return the outcome, as a verification has one."""
        return Outcome.PROVEN if self.ok else Outcome.NOT_PROVEN


def verify_runs(
    run_names: Sequence[str], replica_names: Sequence[str], everything: bool
) -> Iterator[Verification | Remark]:
    """Verify the named runs, all runs of the named replicas, and, with `everything`, all runs that are signed.

    Store each proof. Raise LookupError for a name that means nothing, before the first run is verified.
    """
    # All names first: a mistyped one is reported at once and not after hours.
    runs = [find_run(name) for name in run_names]
    replicas = [_find_replica(name) for name in replica_names]

    for run in runs:
        yield from _verify(RunVerifier(run.replica), [run])
    for replica in replicas:
        yield from _verify_replica(replica)
    if everything:
        yield from _verify_everything()


def _verify_everything() -> Iterator[Verification | Remark]:
    for replica in Replica.objects.filter(origin=Replica.Origin.COLLECTOR).select_related("server", "group"):
        yield from _verify_replica(replica)

    orphans = queries.find_orphaned_replicas()
    if orphans:
        text = gettext("The history has rows of replicas that do not exist: %(ids)s")
        yield Remark(False, text % {"ids": orphans[:10]})

    unsigned = Run.objects.filter(replica__origin=Replica.Origin.UNSIGNED).count()
    if unsigned:
        text = gettext(
            "Runs imported without a signature: %(count)d. Nobody vouches for them, and they are not verified here."
        )
        yield Remark(True, text % {"count": unsigned})


def _verify_replica(replica: Replica) -> Iterator[Verification | Remark]:
    """Verify every run of a replica. When the table has lost all of them, the journal or the rows still say so."""
    verifier = RunVerifier(replica)
    if not verifier.chain.last:
        for fault in verifier.chain.faults:
            yield Remark(False, f"{replica.uuid}: {gettext(fault.message) % fault.values}")
        if not verifier.structure.ok:
            yield Remark(False, f"{replica.uuid}: {verifier.structure.text}")
        return

    # Runs that arrive after the chain was read are left to the next verification.
    runs = Run.objects.filter(replica=replica, sequence__lte=verifier.chain.last).order_by("sequence")
    runs = runs.select_related("replica__server", "replica__group", "key")
    yield from _verify(verifier, runs.iterator(chunk_size=100))


def _verify(verifier: RunVerifier, runs: Iterable[Run]) -> Iterator[Verification]:
    for run in runs:
        verification = verifier.verify(run)
        store_proof(verification)
        yield verification


def _find_replica(name: str) -> Replica:
    try:
        uuid = UUID(name)
    except ValueError as error:
        raise LookupError(f"{name[:100]!r} is not the uuid of a replica") from error

    replica = Replica.objects.select_related("server", "group").filter(uuid=uuid).first()
    if replica is None:
        raise LookupError(f"there is no replica {name[:100]}")
    return replica
