"""Bringing queued reports to the central server: in order within a replica, one replica not held up by another."""

from __future__ import annotations

import hashlib
import random
import time
import uuid
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional

from scanner.collector.delivery.chain import CentralChainEnd, check_agreement
from scanner.collector.delivery.client import (
    Client,
    RefusalError,
    SignedReply,
    UnreachableError,
    UntrustedReplyError,
    digest_header,
)
from scanner.collector.delivery.identity import Identity
from scanner.collector.delivery.spool import Spool, SpooledReport
from scanner.collector.errors import ChainError, CollectorError
from scanner.collector.system.failpoint import reach
from scanner.format.signing import SigningKey
from scanner.format.statement import read_statement

REPORT_TYPE = "application/vnd.backup-syncer.report+jsonl"
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 300.0
_GAPS = 3
"""How many gaps in a row are tried to be closed before a replica waits for the next run."""


class QueueSender:
    """Delivers the queue of one replica. `problem` says why it stopped; `retry` is whether time may help."""

    def __init__(self, replica: str, spool: Spool, known: Optional[CentralChainEnd] = None) -> None:
        self.replica, self.spool, self.known = replica, spool, known
        self.problem: Optional[CollectorError] = None
        self.retry = False
        self.retry_after: Optional[float] = None
        self.delivered: List[str] = []
        """The uuids of the runs that the central server has taken."""
        self.refused: Dict[str, str] = {}
        """Run to reason: what the central server will never take."""
        self._gaps = 0

    @property
    def waiting(self) -> bool:
        """Whether something is still to be delivered and may be."""
        return bool(self.spool.queued()) and (self.problem is None or self.retry)

    def attempt(self, client: Client, identity: Identity, key: SigningKey) -> None:
        """Send what is queued until it is all delivered or something is in the way."""
        self.problem, self.retry, self.retry_after, self._gaps = None, False, None, 0
        try:
            if self.known is not None:
                check_agreement(self.spool, self.known)
            while True:
                queued = self.spool.queued()
                if not queued:
                    return
                self._send(client, identity, key, queued[0])
        except UnreachableError as error:
            self.problem, self.retry = error, True
        except RefusalError as error:
            self.problem, self.retry, self.retry_after = error, error.retryable, error.retry_after
        except CollectorError as error:
            self.problem = error

    def _send(self, client: Client, identity: Identity, key: SigningKey, report: SpooledReport) -> None:
        envelope = self.spool.envelope(report)
        if envelope is None:
            return
        try:
            reply = upload_report(client, identity, report.path)
        except RefusalError as error:
            self._refused(error, report, key)
            return
        if (reply.members.get("sequence"), reply.members.get("statement")) != (report.sequence, envelope.digest):
            raise UntrustedReplyError(f"the receipt is for another report than {report.sequence}")
        reach("send:receipt")
        self.spool.mark_sent(report, reply.line)
        self.known = CentralChainEnd(report.sequence, envelope.digest)
        self.delivered.append(report.run)
        self._gaps = 0

    def _refused(self, error: RefusalError, report: SpooledReport, key: SigningKey) -> None:
        if error.code == "refused" or error.status == 422:
            self.spool.mark_refused(report, error.members.get("recorded") is True)
            self.refused[report.run] = str(error)
        elif error.code == "gap":
            self._close_gap(error, key)
        elif error.code in ("stale", "equivocation"):
            raise ChainError(f"{error.code}: {error}") from error
        else:
            raise error

    def _close_gap(self, error: RefusalError, key: SigningKey) -> None:
        """Bring the queue to where the central server expects it to go on."""
        self._gaps += 1
        sequence, previous = _expected(error)
        if self._gaps > _GAPS or sequence is None:
            raise error
        known = CentralChainEnd(sequence - 1, previous) if sequence > 1 else CentralChainEnd(None, None)
        check_agreement(self.spool, known)
        if previous is not None and self.spool.digest(sequence - 1) == previous:
            for report in self.spool.queued():
                if report.sequence < sequence:  # it was taken, and its receipt was lost
                    self.spool.mark_sent(report, None)
                    self.delivered.append(report.run)
        if _continues(self.spool, sequence, previous):
            self.spool.take_back(sequence)
        else:
            why = f"what stood in place {sequence} of the chain cannot be given: lost, damaged or refused"
            self.spool.reissue(sequence, previous, why, key, lambda: str(uuid.uuid4()))
        self.known = None


def _expected(error: RefusalError) -> tuple[Optional[int], Optional[str]]:
    expected = error.members.get("expected")
    members: Dict[str, Any] = expected if isinstance(expected, dict) else {}
    sequence, previous = members.get("sequence"), members.get("previous")
    if type(sequence) is not int or sequence < 1 or not (previous is None or isinstance(previous, str)):
        return None, None
    return sequence, previous


def _continues(spool: Spool, sequence: int, previous: Optional[str]) -> bool:
    """Whether the spool holds every report from `sequence` on, in a chain behind `previous`."""
    for report in spool.delivered() + spool.queued():
        if report.sequence < sequence:
            continue
        envelope = spool.envelope(report)
        if envelope is None:
            return False
        statement = read_statement(envelope.payload)
        if (statement.sequence, statement.previous) != (sequence, previous):
            return False
        sequence, previous = sequence + 1, envelope.digest
    return True


def upload_report(client: Client, identity: Identity, path: Path) -> SignedReply:
    """Upload one report file; the receipt. Raises Refusal, Unreachable or Untrusted."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for chunk in iter(lambda: file.read(1 << 20), b""):
            digest.update(chunk)
        size = file.tell()
        file.seek(0)
        headers = {
            "Content-Type": REPORT_TYPE,
            "Content-Encoding": "gzip",
            "Content-Length": str(size),
            "Content-Digest": digest_header(digest.digest()),
        }
        assert identity.central is not None
        return client.call("POST", "/reports", "report", identity.central, identity.server, headers=headers, body=file)


def deliver_all(
    carriers: List[QueueSender],
    attempt: Callable[[QueueSender], None],
    patience: float,
    tell: Callable[[str], None],
) -> None:
    """Try again what could not be delivered, until all is, or `patience` seconds are over.

    The pauses double, with full jitter, so that many servers do not come back together; what the central server asks
    for by Retry-After is the least.
    """
    until, pause = time.monotonic() + patience, _FIRST_PAUSE
    while True:
        jammed = [carrier for carrier in carriers if carrier.waiting]
        if not jammed:
            return
        wait = max(random.uniform(0, pause), *(carrier.retry_after or 0.0 for carrier in jammed))
        if time.monotonic() + wait > until:
            tell(f"{len(jammed)} queues are not delivered; the next run tries again")
            return
        tell(f"not delivered ({jammed[0].problem or 'not tried yet'}); again in {wait:.0f} s")
        time.sleep(wait)
        pause = min(pause * 2, _LONGEST_PAUSE)
        for carrier in jammed:
            attempt(carrier)
