"""`status`: who this collector is, what its replicas did last, what waits, and whether the central server answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Optional

from scanner.collector.config import Config
from scanner.collector.delivery import identity
from scanner.collector.delivery.client import Client
from scanner.collector.delivery.identity import Identity
from scanner.collector.delivery.spool import RECEIPT_SUFFIX, REPORT_SUFFIX, Spool, read_envelope
from scanner.collector.errors import CollectorError
from scanner.collector.run import replica_list
from scanner.collector.terminal import printable
from scanner.format.canonical_json import decode_json
from scanner.format.envelope import REPLY_LIMIT, REPLY_TYPE, open_envelope
from scanner.format.errors import RecordError, ReportError
from scanner.format.statement import read_statement


def collect_status(config: Config) -> Dict[str, Any]:
    """The whole as members for a program. `exit` is 0 when all is delivered and the central server answers, 1 when
    something waits or the last run of a replica was not complete, 2 when there is no answer, or no enrolment and not
    even a local run."""
    own = identity.read_identity(config.state)
    if own is None:
        return {"exit": 2, "state": str(config.state), "problem": "no identity yet: run `init` or `enroll TOKEN`"}
    key = identity.load_key(config.state, own.key)
    about = {"state": str(config.state), "server": own.server, "name": own.name, "url": config.server or own.url}
    status: Dict[str, Any] = {**about, "keyid": key.keyid, "public_key": key.public.hex(), "enrolled": own.enrolled}
    entries, problem = _ask(config, own)
    status["problem"] = problem
    folders = _folders(config.state)
    told = {entry.replica: entry for entry in entries}
    status["replicas"] = [_replica(name, folders.get(name), told.get(name)) for name in sorted({*folders, *told})]
    late = any(one["queued"] or one["outcome"] == "failed" for one in status["replicas"])
    if not own.enrolled and (config.state / "local").is_dir() and not config.server:
        problem = None  # it works without a central server, and nothing is missing
    return {"exit": 2 if problem else 1 if late else 0, **status}


def _ask(config: Config, own: Identity) -> tuple[List[replica_list.AssignedReplica], Optional[str]]:
    if not own.enrolled:
        return [], "not enrolled: run `enroll TOKEN`"
    try:
        client = Client(config.server or own.url or "", config, own.token)
        reply = client.call("GET", "/replicas", "replicas", own.central or "", own.server)
        return replica_list.parse_replicas(reply), None
    except CollectorError as error:
        return replica_list.read_cached_replicas(own, config.state) or [], str(error)


def _folders(state: Path) -> Dict[str, Path]:
    return {
        path.name: path for kind in ("replicas", "local") for path in (state / kind).glob("*-*-*-*-*") if path.is_dir()
    }


def _replica(name: str, folder: Optional[Path], entry: Optional[replica_list.AssignedReplica]) -> Dict[str, Any]:
    one: Dict[str, Any] = {
        "replica": name,
        "group": entry and entry.group_name,
        "root": entry and entry.root,
        "enabled": entry and entry.enabled,
        **dict.fromkeys(("sequence", "outcome", "reason", "finished_at", "files", "errors", "delivered_at")),
        "queued": 0,
    }
    if folder is None:
        return one
    spool = Spool(folder)
    one.update(queued=len(spool.queued()), delivered_at=_delivered_at(spool))
    for report in reversed(spool.chain()):
        try:
            statement = read_statement(read_envelope(report.path).payload)
        except ReportError as error:
            one["reason"] = f"{report.path.name}: {error}"
            continue
        members = statement._asdict()
        one.update(
            {key: members[key] for key in ("root", "sequence", "outcome", "reason", "finished_at", "files", "errors")}
        )
        break
    return one


def _delivered_at(spool: Spool) -> Optional[str]:
    """When the central server took the newest report that has its receipt here."""
    for report in reversed(spool.delivered()):
        receipt = report.path.with_name(report.path.name.replace(REPORT_SUFFIX, RECEIPT_SUFFIX))
        try:
            payload = open_envelope(receipt.read_bytes(), REPLY_TYPE, REPLY_LIMIT).payload
            return str(decode_json(payload)["time"])
        except (OSError, ReportError, RecordError, KeyError, TypeError):
            continue
    return None


def format_status(status: Dict[str, Any]) -> List[str]:
    """The same in lines for a person."""
    lines = [f"state folder  {printable(status['state'])}"]
    if "server" in status:
        lines.append(f"server        {printable(status['name'] or '(no name yet)')} {status['server']}")
        lines.append(f"key           {status['keyid']}")
        lines.append(f"central       {status['url'] or '(none)'}: {status['problem'] or 'answers'}")
    else:
        lines.append(status["problem"])
    for one in status.get("replicas", []):
        name = printable(one["group"] or one["replica"])
        last = "no run yet"
        if one["sequence"] is not None:
            last = f"run {one['sequence']} {one['outcome']} {one['finished_at']}"
            last += f", {one['files']} files, {one['errors']} errors"
        if one["reason"]:
            last += f" ({printable(one['reason'])})"
        lines.append(f"replica       {name} {printable(one['root'] or '?')}: {last}")
        lines.append(f"              {one['queued']} queued, last delivered {one['delivered_at'] or 'never'}")
    return lines
