"""Define what the API takes and gives: messages and replies as types, and its OpenAPI document.

Replies travel as the payload of a signed envelope, so OpenAPI sees the envelope alone. The order of their fields is the
order of the members in the payload.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from ninja import Schema
from pydantic import BaseModel, ConfigDict, Field

from scanner import errors

ENVELOPE_TYPE = "application/vnd.dsse.envelope.v1+json"
REPORT_TYPE = "application/vnd.backup-syncer.report+jsonl"

_UUID = r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"
_TIME = r"^2[01][0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z$"
_MAX_BIGINT = 2**63 - 1


class Message(BaseModel):
    """Progress of a run, as its collector reports it."""

    model_config = ConfigDict(
        # Strict: JSON's true is no 1, and a text of digits is no number.
        extra="forbid",
        strict=True,
        json_schema_extra={"description": "What a collector says of its run."},
    )

    run: str = Field(pattern=_UUID)
    replica: str = Field(pattern=_UUID)
    started_at: str = Field(pattern=_TIME)
    phase: Literal["walk", "hash", "confirm", "write", "send"]
    files_done: int = Field(ge=0, le=_MAX_BIGINT)
    files_total: int = Field(ge=0, le=_MAX_BIGINT)
    bytes_done: int = Field(ge=0, le=_MAX_BIGINT)
    bytes_total: int = Field(ge=0, le=_MAX_BIGINT)
    current: str = Field(max_length=16384, pattern=r"^[^\x00]*$")


class Reply(Schema):
    """Base of the replies that the central server signs."""

    purpose: ClassVar[str]
    """The member `for` of the payload."""


class EnrolmentReply(Reply):
    """The reply to an enrolment."""

    purpose = "enrolment"

    keyid: str
    token: str
    name: str
    central: str
    """The central server's public key, in hex."""


class TokenReply(Reply):
    """The reply to a request for a fresh bearer token."""

    purpose = "token"

    token: str


class LastRun(Schema):
    """The newest run of a replica that the central server knows."""

    sequence: int
    statement: str
    run: str
    state: str
    reason: str


class AssignedReplica(Schema):
    """A replica that a server has to hash, with the options of its group."""

    replica: str
    group: str
    group_name: str
    root: str
    enabled: bool
    excludes: str
    engine: str
    cross_mounts: bool
    accept_root: bool
    interval_s: int
    last: LastRun | None


class ReplicasReply(Reply):
    """The reply to a request for the replicas of the calling server."""

    purpose = "replicas"

    name: str
    replicas: list[AssignedReplica]


class ReportReply(Reply):
    """The receipt of a report."""

    purpose = "report"

    run: str
    replica: str
    sequence: int
    statement: str
    state: str


_REFUSAL = {
    "type": "object",
    "required": ["error", "detail"],
    "properties": {
        "error": {"type": "string", "description": "a code that programs read"},
        "detail": {"type": "string", "description": "one English sentence"},
        "recorded": {"type": "boolean", "description": "refused: whether the statement has its place in the chain"},
        "sequence": {"type": ["integer", "null"], "description": "refused: the place"},
        "expected": {
            "type": "object",
            "description": "gap: what must come next",
            "required": ["sequence", "previous"],
            "properties": {"sequence": {"type": "integer"}, "previous": {"type": ["string", "null"]}},
        },
    },
}
_ENVELOPE = {
    "type": "object",
    "description": "A DSSE envelope with one signature; its payload is canonical JSON.",
    "required": ["payloadType", "payload", "signatures"],
    "properties": {
        "payloadType": {"type": "string"},
        "payload": {"type": "string", "contentEncoding": "base64"},
        "signatures": {
            "type": "array",
            "minItems": 1,
            "maxItems": 1,
            "items": {
                "type": "object",
                "required": ["keyid", "sig"],
                "properties": {"keyid": {"type": "string"}, "sig": {"type": "string"}},
            },
        },
    },
}
_ALWAYS_POSSIBLE: tuple[type[errors.Refusal], ...] = (
    errors.Malformed,
    errors.Incomplete,
    errors.TooLarge,
    errors.QuotaExceeded,
    errors.Busy,
)
_STATUS_WITH_RETRY_AFTER = ("429", "503")


def _responses(signed: dict[int, str], *refusals: type[errors.Refusal]) -> dict[str, Any]:
    """Return the responses of an operation: signed replies by status and description, then refusals by their class."""
    responses: dict[str, Any] = {}
    for status, description in signed.items():
        responses[str(status)] = {"description": description, "content": {ENVELOPE_TYPE: {"schema": _ENVELOPE}}}

    for refusal in (*_ALWAYS_POSSIBLE, *refusals):
        # Several codes share a status: their descriptions are joined.
        response = responses.setdefault(
            str(refusal.status), {"description": "", "content": {"application/json": {"schema": _REFUSAL}}}
        )
        description = f"{refusal.code}: {(refusal.__doc__ or '').strip()}"
        response["description"] = f"{response['description']} {description}".strip()

    for retry_status in _STATUS_WITH_RETRY_AFTER:
        responses[retry_status]["headers"] = {
            "Retry-After": {"schema": {"type": "integer"}, "description": "seconds"},
        }
    return responses


def _header(name: str, description: str, **schema: Any) -> dict[str, Any]:
    return {
        "name": name,
        "in": "header",
        "required": True,
        "description": description,
        "schema": {"type": "string", **schema},
    }


def json_operation(schema: dict[str, Any], *refusals: type[errors.Refusal]) -> dict[str, Any]:
    """Return the description of an operation that answers 200 with plain JSON of this schema, or refuses."""
    responses = _responses({}, *refusals)
    responses["200"] = {"description": "What was asked for.", "content": {"application/json": {"schema": schema}}}
    return {"responses": responses}


ENROLMENT = {
    "requestBody": {"required": True, "content": {ENVELOPE_TYPE: {"schema": _ENVELOPE}}},
    "responses": _responses(
        {201: "The key is registered; the reply carries a bearer token and the central server's key."},
        errors.Unauthorised,
        errors.Forbidden,
        errors.FinalRefusal,
    ),
}
TOKEN = {"responses": _responses({201: "A fresh bearer token."}, errors.Unauthorised)}
REPLICAS = {"responses": _responses({200: "The replicas of the calling server."}, errors.Unauthorised)}
PROGRESS = {
    "requestBody": {"required": True, "content": {"application/json": {"schema": Message.model_json_schema()}}},
    "responses": _responses({}, errors.Unauthorised, errors.Forbidden),
}
REPORT = {
    "parameters": [
        _header("Content-Digest", "SHA-256 of the body as sent (RFC 9530)", pattern="^sha-256=:[A-Za-z0-9+/]{43}=:$"),
        _header("Content-Encoding", "how the body is sent", enum=["gzip", "identity"]),
    ],
    "requestBody": {
        "required": True,
        "content": {REPORT_TYPE: {"schema": {"type": "string", "contentMediaType": REPORT_TYPE}}},
    },
    "responses": _responses(
        {201: "The report is durable and has its place.", 200: "It came before; nothing is done twice."},
        errors.Unauthorised,
        errors.Forbidden,
        errors.ChainGap,
        errors.StaleStatement,
        errors.ConflictingStatement,
        errors.UnsupportedMedia,
        errors.FinalRefusal,
    ),
}
