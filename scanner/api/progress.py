"""Record how far current runs are, as their collectors say."""

from __future__ import annotations

from django.utils import timezone
from pydantic import ValidationError

from scanner.api.schema import Message
from scanner.errors import Forbidden, Malformed
from scanner.format.canonical_json import decode_json
from scanner.format.errors import RecordError, ReportError
from scanner.format.timestamps import parse_timestamp
from scanner.models import Progress, Replica, Run, Server

MAX_DETAIL = 300


def parse_message(body: bytes) -> Message:
    """Return the message in a request's body. Raise Malformed that names the first bad member, and never repeats it."""
    try:
        return Message.model_validate(decode_json(body))
    except RecordError as error:
        raise Malformed(f"The body is {error}.") from error
    except ValidationError as error:
        # Without the input: what a caller sends is repeated neither in answers nor in logs.
        first = error.errors(include_input=False, include_url=False)[0]
        location = ".".join(map(str, first["loc"])) or "body"
        raise Malformed(f"{location}: {first['msg']}."[:MAX_DETAIL]) from error


def record_progress(server: Server, message: Message) -> None:
    """Save how far a run of `server` is, unless its report has arrived. A replica has one run at a time."""
    replica = Replica.objects.filter(
        uuid=message.replica,
        server=server,
        origin=Replica.Origin.COLLECTOR,
        archived_at=None,
        group__archived_at=None,
    ).first()
    if replica is None:
        raise Forbidden("This is no replica of this server.")

    try:
        started_at = parse_timestamp(message.started_at)
    except ReportError as error:
        raise Malformed(f"started_at: {error}.") from error

    # A message that its report has overtaken would show a run as current that is over.
    if Run.objects.filter(uuid=message.run).exists():
        return

    counts = message.model_dump(exclude={"run", "replica", "started_at"})
    defaults = counts | {"started_at": started_at, "updated_at": timezone.now()}
    Progress.objects.update_or_create(uuid=message.run, replica=replica, defaults=defaults)

    # A run that was broken off sends no report to end its row: the next run of the replica does.
    replica.progress.exclude(uuid=message.run).delete()

    # The report may have arrived since the question above. `ingest.accept` deletes again once its transaction has
    # ended: whichever of the two comes last sees the other.
    if Run.objects.filter(uuid=message.run).exists():
        Progress.objects.filter(uuid=message.run).delete()
