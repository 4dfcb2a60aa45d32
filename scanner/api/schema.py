"""What the API's own description cannot be told by types: bodies that are no JSON, and the one shape of refusals."""

from __future__ import annotations

from typing import Any

from scanner import errors
from scanner.api.progress import Message
from scanner.api.responses import ENVELOPE_TYPE
from scanner.api.upload import REPORT_TYPE

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
_ALWAYS: tuple[type[errors.Refusal], ...] = (
    errors.Malformed,
    errors.Incomplete,
    errors.TooLarge,
    errors.QuotaExceeded,
    errors.Busy,
)


def _answers(signed: dict[int, str], *refused: type[errors.Refusal]) -> dict[str, Any]:
    """The responses of an operation: signed replies by status and description, then refusals by their class."""
    found: dict[str, Any] = {
        str(status): {"description": text, "content": {ENVELOPE_TYPE: {"schema": _ENVELOPE}}}
        for status, text in signed.items()
    }
    for kind in (*_ALWAYS, *refused):
        about = found.setdefault(
            str(kind.status), {"description": "", "content": {"application/json": {"schema": _REFUSAL}}}
        )
        text = f"{kind.code}: {(kind.__doc__ or '').strip()}"
        about["description"] = f"{about['description']} {text}".strip()
    if errors.QuotaExceeded in (*_ALWAYS, *refused):
        for status in ("429", "503"):
            found[status]["headers"] = {"Retry-After": {"schema": {"type": "integer"}, "description": "seconds"}}
    return found


def _header(name: str, text: str, **schema: Any) -> dict[str, Any]:
    return {"name": name, "in": "header", "required": True, "description": text, "schema": {"type": "string", **schema}}


def json_answers(schema: dict[str, Any], *refused: type[errors.Refusal]) -> dict[str, Any]:
    """An operation that answers 200 with plain JSON of this schema, or refuses."""
    responses = _answers({}, *refused)
    responses["200"] = {"description": "What was asked for.", "content": {"application/json": {"schema": schema}}}
    return {"responses": responses}


ENROLMENT = {
    "requestBody": {"required": True, "content": {ENVELOPE_TYPE: {"schema": _ENVELOPE}}},
    "responses": _answers(
        {201: "The key is registered; the reply carries a bearer token and the central server's key."},
        errors.Unauthorised,
        errors.Forbidden,
        errors.FinalRefusal,
    ),
}
TOKEN = {"responses": _answers({201: "A fresh bearer token."}, errors.Unauthorised)}
REPLICAS = {"responses": _answers({200: "The replicas of the calling server."}, errors.Unauthorised)}
PROGRESS = {
    "requestBody": {"required": True, "content": {"application/json": {"schema": Message.model_json_schema()}}},
    "responses": _answers({}, errors.Unauthorised, errors.Forbidden),
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
    "responses": _answers(
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
