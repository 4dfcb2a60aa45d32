"""Find the place of the next report in its replica's chain.

The spool and the central server know the place. The state never does: it is a cache that may be lost.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, Optional

from scanner.collector.delivery.spool import ChainEnd, Spool
from scanner.collector.errors import ChainError
from scanner.collector.system import durable

# Directory in the state directory with an empty file for each replica that ever had a report in its queue.
_QUEUED_DIRECTORY = "begun"


class ChainPosition(NamedTuple):
    """Place of the next report."""

    sequence: int
    previous: Optional[str]
    """Digest of the statement before it, None for the first one."""
    break_reason: Optional[str] = None
    """Why the chain is broken at this place, None when it is not."""


class CentralChainEnd(NamedTuple):
    """Newest statement of a replica that the central server has. Both fields are None when it has none."""

    sequence: Optional[int]
    digest: Optional[str]


def next_position(spool: Spool, central_end: Optional[CentralChainEnd], ever_queued: bool) -> ChainPosition:
    """Return the place of the next report of this spool.

    `central_end` is what the central server said just now, None when it could not be asked. `ever_queued` says whether
    this collector ever queued a report of the replica. Raises ChainError when the central server holds another
    statement in a place that the spool has, or when nobody knows the place.
    """
    newest = spool.newest()
    if central_end is None:
        # A number given by guess could be one that the lost report already has.
        is_spool_lost = newest is None and ever_queued
        if is_spool_lost or spool.has_lost_end():
            raise ChainError("the spool is empty or damaged: the central server must tell where the chain stands")
        return _position_after(newest)

    # The central server has nothing yet, or lost all: it gets what is queued here, in order.
    if central_end.sequence is None:
        return _position_after(newest)

    # The spool was lost or restored from a backup. The chain goes on behind the central server's end, visibly broken.
    if newest is None or central_end.sequence > newest.sequence:
        break_reason = f"report {central_end.sequence}, which the central server has, is missing from the spool"
        return ChainPosition(central_end.sequence + 1, central_end.digest, break_reason)

    check_agreement(spool, central_end)
    return _position_after(newest)


def _position_after(newest: Optional[ChainEnd]) -> ChainPosition:
    if newest is None:
        return ChainPosition(1, None)
    return ChainPosition(newest.sequence + 1, newest.digest)


def check_agreement(spool: Spool, central_end: CentralChainEnd) -> None:
    """Raise ChainError when the spool has another statement than the central server in the place of `central_end`."""
    if central_end.sequence is None:
        return

    own_digest = spool.statement_digest(central_end.sequence)
    if own_digest is not None and own_digest != central_end.digest:
        raise ChainError(
            f"equivocation: the central server holds another report {central_end.sequence} than this spool. "
            "Another collector speaks for this server, or the state directory was restored from an older copy; "
            "nothing more is sent until an operator has compared both"
        )


def was_ever_queued(state: Path, replica: str) -> bool:
    """Return whether this collector ever queued a report of the replica.

    The spool itself cannot answer this: it may have been lost.
    """
    return (state / _QUEUED_DIRECTORY / replica).exists()


def mark_ever_queued(state: Path, replica: str) -> None:
    """Remember that the replica is about to have a report in its queue."""
    mark = durable.make_directory(state / _QUEUED_DIRECTORY) / replica
    if not mark.exists():
        durable.write_file(mark, b"")
