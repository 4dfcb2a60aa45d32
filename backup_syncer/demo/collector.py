"""Play the part of a server's collector: enrol, and send signed reports of made-up trees."""

from __future__ import annotations

import gzip
import hashlib
import json
import tempfile
import uuid
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path

from backup_syncer.demo.tree import DemoTree
from scanner import enrolment
from scanner.format.digests import RecordTotals
from scanner.format.envelope import ENROLMENT_TYPE, RUN_TYPE, seal_envelope
from scanner.format.excludes import parse_excludes, scope_digest
from scanner.format.records import encode_record
from scanner.format.signing import SigningKey
from scanner.format.statement import Statement
from scanner.format.timestamps import format_timestamp
from scanner.ingest import accept
from scanner.models import Replica, Run, Server

BYTES_PER_SECOND = 180 * 10**6
"""Speed of the made-up disks."""


class DemoCollector:
    """The collector of one server, with a key that exists only while the demo is being made."""

    def __init__(self, server: Server, system: str, filesystem: str) -> None:
        self.server = server
        self._system = system
        self._filesystem = filesystem
        with tempfile.TemporaryDirectory(prefix="backup_syncer-demo-") as directory:
            self._key = SigningKey.create(Path(directory) / "server.key")

    def enrol(self) -> None:
        """Exchange an enrolment token for the server's public key, as `backup-syncer-collector enroll` does."""
        token = enrolment.create_token(self.server)
        _prefix, server, secret, central_keyid, _checksum = token.split(".")
        members = {
            "server": server,
            "secret": secret,
            "public_key": self._key.public.hex(),
            "central": central_keyid,
            "host": self.server.name,
            "time": format_timestamp(datetime.now(UTC).timestamp()),
        }
        payload = json.dumps(members, separators=(",", ":")).encode()
        enrolment.redeem_token(seal_envelope(ENROLMENT_TYPE, payload, self._key.sign, self._key.keyid))

    def send_run(self, replica: Replica, tree: DemoTree, finished_at: datetime) -> Run:
        """Sign a report of the tree as it is and hand it to the central server. Return the accepted run."""
        newest = replica.runs.order_by("-sequence").first()
        compared_run = ""
        if newest is not None:
            compared_run = str(newest.uuid)

        records = tree.take_records(compared_run)
        lines = [encode_record(record) for record in records]

        totals = RecordTotals(len(lines))
        for record, line in zip(records, lines, strict=True):
            totals.add(record, line)

        statement = self._statement(replica, totals, finished_at)
        envelope = seal_envelope(RUN_TYPE, statement.payload(), self._key.sign, self._key.keyid)
        report = gzip.compress(envelope + b"".join(lines), mtime=0)
        return self._deliver(report)

    def send_failed_run(self, replica: Replica, reason: str, finished_at: datetime) -> Run:
        """Sign and hand over the report of a run that could not read its root."""
        statement = self._statement(replica, RecordTotals(0), finished_at)
        statement = statement._replace(outcome="failed", reason=reason)
        envelope = seal_envelope(RUN_TYPE, statement.payload(), self._key.sign, self._key.keyid)
        return self._deliver(gzip.compress(envelope, mtime=0))

    def _deliver(self, report: bytes) -> Run:
        digest = hashlib.sha256(report).digest()
        return accept.receive_report(self.server, BytesIO(report).read, encoding="gzip", digest=digest).run

    def _statement(self, replica: Replica, totals: RecordTotals, finished_at: datetime) -> Statement:
        sequence = 1
        previous = None
        newest = replica.runs.order_by("-sequence").first()
        if newest is not None:
            sequence = newest.sequence + 1
            previous = bytes(newest.statement).hex()

        work_time = timedelta(seconds=20 + totals.size / BYTES_PER_SECOND)
        return Statement(
            run=str(uuid.uuid4()),
            server=str(self.server.uuid),
            replica=str(replica.uuid),
            group=str(replica.group.uuid),
            root=replica.root,
            sequence=sequence,
            previous=previous,
            break_=None,
            base=None,
            started_at=format_timestamp((finished_at - work_time).timestamp()),
            finished_at=format_timestamp(finished_at.timestamp()),
            work_time_ns=int(work_time.total_seconds() * 10**9),
            outcome="complete",
            reason=None,
            mode="full",
            engine={"name": "hashlib", "wanted": "auto", "why": "as configured", "tools": []},
            algorithms=("sha256", "md5"),
            collector={"version": "0.1.0", "python": "3.11.9"},
            host={
                "system": self._system,
                "release": "",
                "boot_id": str(self.server.uuid),
                "filesystem": {
                    "type": self._filesystem,
                    "id": str(replica.uuid),
                    "mount_point": replica.root,
                    "accepted": None,
                },
            },
            config=scope_digest(parse_excludes(replica.group.excludes).patterns, replica.group.cross_mounts),
            files=totals.files,
            bytes_=totals.size,
            errors=totals.errors,
            content=totals.content_digest.hexdigest(),
            records=totals.records_digest.finish(),
        )
