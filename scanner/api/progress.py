"""How far the runs are that go on now, as their collectors say."""

from __future__ import annotations

from typing import Literal

from django.utils import timezone
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from scanner.errors import Forbidden, Malformed
from scanner.format.canonical_json import decode_json
from scanner.format.errors import RecordError, ReportError
from scanner.format.timestamps import parse_timestamp
from scanner.models import Progress, Replica, Run, Server

_UUID = r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"
_TIME = r"^2[01][0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z$"
_MOST = 2**63 - 1


class Message(BaseModel):
    """What a collector says of its run."""

    model_config = ConfigDict(extra="forbid", strict=True)

    run: str = Field(pattern=_UUID)
    replica: str = Field(pattern=_UUID)
    started_at: str = Field(pattern=_TIME)
    phase: Literal["walk", "hash", "confirm", "write", "send"]
    files_done: int = Field(ge=0, le=_MOST)
    files_total: int = Field(ge=0, le=_MOST)
    bytes_done: int = Field(ge=0, le=_MOST)
    bytes_total: int = Field(ge=0, le=_MOST)
    current: str = Field(max_length=16384, pattern=r"^[^\x00]*$")


def read(body: bytes) -> Message:
    """The message in a request's body; Malformed names the first member that is wrong, and never repeats it."""
    try:
        return Message.model_validate(decode_json(body))
    except RecordError as error:
        raise Malformed(f"The body is {error}.") from error
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(map(str, first["loc"])) or "body"
        raise Malformed(f"{place}: {first['msg']}."[:300]) from error


def note(server: Server, message: Message) -> None:
    """Write down how far a run of `server` is, if it has not arrived yet. A replica has one run at a time."""
    replica = Replica.objects.filter(
        uuid=message.replica, server=server, origin=Replica.Origin.COLLECTOR, archived_at=None
    ).first()
    if replica is None:
        raise Forbidden("This is no replica of this server.")
    try:
        started_at = parse_timestamp(message.started_at)
    except ReportError as error:
        raise Malformed(f"started_at: {error}.") from error
    if Run.objects.filter(uuid=message.run).exists():
        return
    said = message.model_dump(exclude={"run", "replica", "started_at"})
    Progress.objects.update_or_create(
        uuid=message.run, replica=replica, defaults=said | {"started_at": started_at, "updated_at": timezone.now()}
    )
    replica.progress.exclude(uuid=message.run).delete()
