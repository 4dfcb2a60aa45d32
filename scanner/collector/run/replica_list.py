"""Which replicas this server has, as the central server says and signs; the last answer is kept for when it cannot be
asked."""

from __future__ import annotations

import random
import time
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional, Sequence

from scanner.collector.delivery.chain import CentralChainEnd
from scanner.collector.delivery.client import (
    Client,
    RefusalError,
    SignedReply,
    UnreachableError,
    UntrustedReplyError,
    open_reply,
)
from scanner.collector.delivery.identity import Identity
from scanner.collector.errors import CollectorError, ConfigError
from scanner.collector.run.statement import Job
from scanner.collector.system import durable
from scanner.format import paths
from scanner.format.errors import PathError

FILE_NAME = "replicas.jsonl"
_TRIES = 3
_TEXTS = ("replica", "group", "group_name", "root", "excludes", "engine")
_TRUTHS = ("enabled", "cross_mounts", "accept_root")


class AssignedReplica(NamedTuple):
    """One replica of this server."""

    replica: str
    group: str
    group_name: str
    root: str
    excludes: str
    engine: str
    enabled: bool
    cross_mounts: bool
    accept_root: bool
    known: CentralChainEnd

    def is_named(self, name: str) -> bool:
        """Whether a person means this replica, or its group, by `name`."""
        return name in (self.replica, self.group, self.group_name, self.root)

    def job(self, identity: Identity, folder: Path, engine: Optional[str], accept: bool) -> Job:
        """What is to be run; ConfigError when the root is no path."""
        try:
            root = paths.decode(self.root)
        except PathError as error:
            raise ConfigError(f"the central server names a root that is no path: {self.root[:200]!r}") from error
        accepted = "operator" if self.accept_root else "local" if accept else None
        return Job(
            server=identity.server,
            replica=self.replica,
            group=self.group,
            group_name=self.group_name,
            root=root,
            excludes=self.excludes,
            engine=engine or self.engine,
            cross_mounts=self.cross_mounts,
            accepted=accepted,
            folder=folder,
        )


class ReplicaList(NamedTuple):
    """The replicas, and whether the central server said so just now; if not, `problem` says why."""

    entries: List[AssignedReplica]
    fresh: bool
    problem: Optional[CollectorError] = None


def fetch_replicas(client: Client, identity: Identity, state: Path) -> ReplicaList:
    """The replicas as the central server tells them, else as it told them last.

    Raises what was in the way when there is no earlier answer either.
    """
    try:
        reply = _fetch(client, identity)
        entries = parse_replicas(reply)
        durable.write(state / FILE_NAME, reply.line)
        return ReplicaList(entries, fresh=True)
    except CollectorError as error:
        entries_before = read_cached_replicas(identity, state)
        if entries_before is None:
            raise
        return ReplicaList(entries_before, fresh=False, problem=error)


def _fetch(client: Client, identity: Identity) -> SignedReply:
    assert identity.central is not None
    for number in range(_TRIES):
        try:
            return client.call("GET", "/replicas", "replicas", identity.central, identity.server)
        except (UnreachableError, RefusalError) as error:
            passing = not isinstance(error, RefusalError) or error.retryable
            if number == _TRIES - 1 or not passing:
                raise
        time.sleep(random.uniform(0, 2.0**number))
    raise AssertionError("the loop returns or raises")


def read_cached_replicas(identity: Identity, state: Path) -> Optional[List[AssignedReplica]]:
    """The replicas in the kept answer, whose signature is checked anew; None when there is none that holds."""
    try:
        line = (state / FILE_NAME).read_bytes()
        return parse_replicas(open_reply(line, "replicas", identity.central or "", identity.server))
    except (OSError, UntrustedReplyError):
        return None


def parse_replicas(reply: SignedReply) -> List[AssignedReplica]:
    """The replicas in a reply; Untrusted when a member is missing or of another type."""
    items = reply.members.get("replicas")
    if not isinstance(items, list):
        raise UntrustedReplyError("the central server's answer holds no replicas")
    return [_entry(item) for item in items]


def _entry(item: Any) -> AssignedReplica:
    if not isinstance(item, dict) or not _has(item, _TEXTS, str) or not _has(item, _TRUTHS, bool):
        raise UntrustedReplyError("the central server's answer describes a replica in an unknown way")
    if not _is_name(item["replica"]):
        raise UntrustedReplyError("the central server's answer names a replica that has no uuid")
    members = {name: item[name] for name in _TEXTS + _TRUTHS}
    return AssignedReplica(**members, known=_known(item.get("last")))


def _has(item: Dict[str, Any], names: Sequence[str], kind: type) -> bool:
    return all(isinstance(item.get(name), kind) for name in names)


def _is_name(text: str) -> bool:
    """Whether a replica's uuid may stand as the name of its folder."""
    return bool(text) and all(character in "0123456789abcdef-" for character in text) and len(text) == 36


def _known(last: Any) -> CentralChainEnd:
    if last is None:
        return CentralChainEnd(None, None)
    if (
        not isinstance(last, dict)
        or type(last.get("sequence")) is not int
        or not isinstance(last.get("statement"), str)
    ):
        raise UntrustedReplyError("the central server's answer describes the last report in an unknown way")
    return CentralChainEnd(last["sequence"], last["statement"])
