"""Where a report stands in the chain of its replica: told by the spool and by the central server, never by the
state."""

from __future__ import annotations

from typing import NamedTuple, Optional

from scanner.collector.delivery.spool import Spool
from scanner.collector.errors import ChainError


class ChainPosition(NamedTuple):
    """The place of the next report. `torn` says why the chain is torn there, None when it is not."""

    sequence: int
    previous: Optional[str]
    torn: Optional[str] = None


class CentralChainEnd(NamedTuple):
    """The newest statement of the replica that the central server has; both None when it has none."""

    sequence: Optional[int]
    digest: Optional[str]


def next_position(spool: Spool, known: Optional[CentralChainEnd], begun: bool) -> ChainPosition:
    """The place of the next report of this spool.

    `known` is what the central server said just now, None when it could not be asked; `begun` is whether this collector
    ever queued a report of the replica. ChainError when the server holds another statement in a place that the spool
    has, or when neither can tell the place.
    """
    newest = spool.newest()
    if known is None:
        if (newest is None and begun) or spool.end_is_lost():
            raise ChainError("the spool is empty or damaged: the central server must tell where the chain stands")
        return ChainPosition(1, None) if newest is None else ChainPosition(newest[0] + 1, newest[1])
    if known.sequence is None:
        return ChainPosition(1, None) if newest is None else ChainPosition(newest[0] + 1, newest[1])
    if newest is None or known.sequence > newest[0]:
        why = f"report {known.sequence}, which the central server has, is unknown to the spool"
        return ChainPosition(known.sequence + 1, known.digest, why)
    check_agreement(spool, known)
    return ChainPosition(newest[0] + 1, newest[1])


def check_agreement(spool: Spool, known: CentralChainEnd) -> None:
    """ChainError when the spool holds another statement than the central server where the server's newest stands."""
    if known.sequence is None:
        return
    here = spool.digest(known.sequence)
    if here is not None and here != known.digest:
        raise ChainError(
            f"equivocation: the central server holds another report {known.sequence} than this spool; "
            "another collector speaks for this server, or it was restored from an older copy"
        )
