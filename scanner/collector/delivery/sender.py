"""Upload queued reports to the central server.

The reports of one replica go out in order. A replica whose queue is stuck does not hold up the others.
"""

from __future__ import annotations

import hashlib
import random
import time
import uuid
from pathlib import Path
from typing import Callable, Dict, List, NamedTuple, Optional

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
from scanner.collector.system.fail_points import fail_point
from scanner.format.signing import SigningKey
from scanner.format.statement import read_statement

REPORT_TYPE = "application/vnd.backup-syncer.report+jsonl"
_FIRST_PAUSE = 1.0
# Seconds between two attempts to deliver.
_LONGEST_PAUSE = 300.0
# So many gaps in a row are closed before the replica waits for the next run: more would be a loop.
_MOST_GAPS = 3
_READ_BYTES = 1 << 20


class ExpectedPosition(NamedTuple):
    """Place in the chain that the central server expects next."""

    sequence: int
    previous: Optional[str]


class QueueSender:
    """Sender of one replica's queue."""

    def __init__(self, replica: str, spool: Spool, central_end: Optional[CentralChainEnd] = None) -> None:
        """`central_end` is what the central server said just now, None when it could not be asked."""
        self.replica = replica
        self.spool = spool
        self.central_end = central_end
        self.problem: Optional[CollectorError] = None
        """Why the last attempt stopped."""
        self.may_retry = False
        """Whether the problem may be gone after a while."""
        self.retry_after: Optional[float] = None
        """Seconds that the central server asks for before the next attempt."""
        self.delivered_runs: List[str] = []
        """Uuids of the runs whose reports the central server has taken."""
        self.refusal_reasons: Dict[str, str] = {}
        """Why the central server will never take a report, by the uuid of its run."""
        self._gaps_in_a_row = 0

    @property
    def waiting(self) -> bool:
        """True when another attempt makes sense: something is queued, and nothing permanent is in the way."""
        return bool(self.spool.queued_reports()) and (self.problem is None or self.may_retry)

    def attempt(self, client: Client, identity: Identity, key: SigningKey) -> None:
        """Send the queued reports until the queue is empty or a problem stops it."""
        self.problem = None
        self.may_retry = False
        self.retry_after = None
        self._gaps_in_a_row = 0
        try:
            self._send_queue(client, identity, key)
        except UnreachableError as error:
            self.problem = error
            self.may_retry = True
        except RefusalError as error:
            self.problem = error
            self.may_retry = error.retryable
            self.retry_after = error.retry_after
        except CollectorError as error:
            self.problem = error

    def _send_queue(self, client: Client, identity: Identity, key: SigningKey) -> None:
        if self.central_end is not None:
            check_agreement(self.spool, self.central_end)
        while True:
            # Listed anew each time: a refusal can renumber the queue or bring delivered reports back to it.
            queued_reports = self.spool.queued_reports()
            if not queued_reports:
                return
            self._send(client, identity, key, queued_reports[0])

    def _send(self, client: Client, identity: Identity, key: SigningKey, report: SpooledReport) -> None:
        envelope = self.spool.load_envelope(report)
        if envelope is None:
            return  # damaged, and set aside
        if envelope.keyid != key.keyid:
            # The rotation of the key left it behind. The central server takes nothing more of the old key.
            self.spool.sign_again(report, envelope, key)

        try:
            reply = upload_report(client, identity, report.path)
        except RefusalError as error:
            self._handle_refusal(error, report, key)
            return

        # The signature of the receipt holds. It must also name this very report, or the report is not proven delivered.
        receipt_names = (reply.members.get("sequence"), reply.members.get("statement"))
        if receipt_names != (report.sequence, envelope.digest):
            raise UntrustedReplyError(f"the receipt is for another report than {report.sequence}")
        fail_point("send:receipt")

        self.spool.mark_sent(report, reply.line)
        self.central_end = CentralChainEnd(report.sequence, envelope.digest)
        self.delivered_runs.append(report.run)
        self._gaps_in_a_row = 0

    def _handle_refusal(self, error: RefusalError, report: SpooledReport, key: SigningKey) -> None:
        """Set the report aside, or bring the queue to the place that the central server expects, or raise."""
        if error.code == "refused" or error.status == 422:
            self.spool.mark_refused(report, error.members.get("recorded") is True)
            self.refusal_reasons[report.run] = str(error)
        elif error.code == "gap":
            self._close_gap(error, key)
        elif error.code in ("stale", "equivocation"):
            raise ChainError(f"{error.code}: {error}") from error
        else:
            raise error

    def _close_gap(self, error: RefusalError, key: SigningKey) -> None:
        """Let the queue begin where the central server expects it: send again what it lost, or renumber the queue."""
        self._gaps_in_a_row += 1
        expected = _read_expected_position(error)
        if self._gaps_in_a_row > _MOST_GAPS or expected is None:
            raise error

        # Without this check a fork of the chain would look like a gap, and be renumbered away.
        central_end = CentralChainEnd(None, None)
        if expected.sequence > 1:
            central_end = CentralChainEnd(expected.sequence - 1, expected.previous)
        check_agreement(self.spool, central_end)
        self._mark_accepted_reports(expected)

        if _continues_from(self.spool, expected):
            self.spool.requeue_from(expected.sequence)
        else:
            break_reason = (
                f"what stood in place {expected.sequence} of the chain can no longer be shown: lost, damaged or refused"
            )
            self.spool.renumber_queue(
                expected.sequence, expected.previous, break_reason, key, lambda: str(uuid.uuid4())
            )
        # What the central server said before the gap no longer holds.
        self.central_end = None

    def _mark_accepted_reports(self, expected: ExpectedPosition) -> None:
        """Mark as sent the queued reports that the central server has already: their receipts were lost."""
        if expected.previous is None:
            return
        if self.spool.statement_digest(expected.sequence - 1) != expected.previous:
            return

        for report in self.spool.queued_reports():
            if report.sequence < expected.sequence:
                self.spool.mark_sent(report, None)
                self.delivered_runs.append(report.run)


def _read_expected_position(error: RefusalError) -> Optional[ExpectedPosition]:
    """Return the place that the refusal names, or None when it names none that makes sense."""
    expected = error.members.get("expected")
    if not isinstance(expected, dict):
        return None

    # A refusal is not signed, so any of its members may have any type. `type() is` also keeps out booleans.
    sequence = expected.get("sequence")
    previous = expected.get("previous")
    if type(sequence) is not int or sequence < 1:
        return None
    if previous is not None and not isinstance(previous, str):
        return None
    return ExpectedPosition(sequence, previous)


def _continues_from(spool: Spool, expected: ExpectedPosition) -> bool:
    """Return whether the spool has every report from the expected place on, as one chain without a break."""
    sequence = expected.sequence
    previous = expected.previous
    for report in spool.delivered_reports() + spool.queued_reports():
        if report.sequence < sequence:
            continue

        envelope = spool.load_envelope(report)
        if envelope is None:
            return False
        statement = read_statement(envelope.payload)
        if (statement.sequence, statement.previous) != (sequence, previous):
            return False
        sequence += 1
        previous = envelope.digest
    return True


def upload_report(client: Client, identity: Identity, path: Path) -> SignedReply:
    """Upload one report file and return the receipt. Raises RefusalError, UnreachableError or UntrustedReplyError."""
    assert identity.central is not None
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for chunk in iter(lambda: file.read(_READ_BYTES), b""):
            digest.update(chunk)

        # The file is read twice rather than held in memory: a report of millions of files has hundreds of MiB.
        size = file.tell()
        file.seek(0)
        headers = {
            "Content-Type": REPORT_TYPE,
            "Content-Encoding": "gzip",
            "Content-Length": str(size),
            "Content-Digest": digest_header(digest.digest()),
        }
        return client.call("POST", "/reports", "report", identity.central, identity.server, headers=headers, body=file)


def deliver_all(
    senders: List[QueueSender],
    attempt: Callable[[QueueSender], None],
    patience: float,
    print_line: Callable[[str], None],
) -> None:
    """Repeat `attempt` for the queues that are not delivered, until all are, or for `patience` seconds.

    The pauses double, with full jitter, so that many servers do not come back at the same moment. They are never
    shorter than the central server asks for by Retry-After.
    """
    deadline = time.monotonic() + patience
    longest_pause = _FIRST_PAUSE
    while True:
        waiting_senders = [sender for sender in senders if sender.waiting]
        if not waiting_senders:
            return

        requested_pauses = [sender.retry_after or 0.0 for sender in waiting_senders]
        pause = max(random.uniform(0, longest_pause), *requested_pauses)
        # Waiting is pointless when the patience ends during the pause.
        if time.monotonic() + pause > deadline:
            print_line(f"{len(waiting_senders)} queues are not delivered; the next run tries again")
            return

        print_line(f"not delivered ({waiting_senders[0].problem or 'not tried yet'}); trying again in {pause:.0f} s")
        time.sleep(pause)
        longest_pause = min(longest_pause * 2, _LONGEST_PAUSE)
        for sender in waiting_senders:
            attempt(sender)
