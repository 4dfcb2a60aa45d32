"""Fetch the replicas of this server, as the central server names and signs them.

The last answer is kept on disk for runs during which the central server cannot be asked.
"""

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
_ATTEMPTS = 3
_TEXT_MEMBERS = ("replica", "group", "group_name", "root", "excludes", "engine")
_BOOLEAN_MEMBERS = ("enabled", "cross_mounts", "accept_root")
_UUID_LENGTH = 36
_UUID_CHARACTERS = frozenset("0123456789abcdef-")
_LONGEST_QUOTED_ROOT = 200


class AssignedReplica(NamedTuple):
    """One replica of this server."""

    replica: str
    group: str
    group_name: str
    root: str
    """Coded, as the central server sent it: it is checked only when the replica is run."""
    excludes: str
    engine: str
    enabled: bool
    cross_mounts: bool
    accept_root: bool
    """An operator released the guards of the root for the next run."""
    central_end: CentralChainEnd

    def is_named(self, name: str) -> bool:
        """Return whether `name` on the command line means this replica or its group."""
        return name in (self.replica, self.group, self.group_name, self.root)

    def make_job(self, identity: Identity, directory: Path, engine: Optional[str], accept_root: bool) -> Job:
        """Return the job of running this replica. Raises ConfigError when the root is no path.

        `engine` and `accept_root` come from the command line.
        """
        try:
            root = paths.decode(self.root)
        except PathError as error:
            quoted_root = repr(self.root[:_LONGEST_QUOTED_ROOT])
            raise ConfigError(f"the central server names a root that is no path: {quoted_root}") from error

        # The statement says who released the guards. An operator's release counts more than the option.
        accepted = None
        if self.accept_root:
            accepted = "operator"
        elif accept_root:
            accepted = "local"

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
            directory=directory,
        )


class ReplicaList(NamedTuple):
    """Replicas of this server."""

    replicas: List[AssignedReplica]
    fresh: bool
    """Whether the central server sent the list just now. Otherwise it is the last answer."""
    problem: Optional[CollectorError] = None
    """Why the central server could not be asked."""


def fetch_replicas(client: Client, identity: Identity, state: Path) -> ReplicaList:
    """Return the replicas as the central server names them, or else as it named them last.

    Raises the CollectorError that was in the way when there is no earlier answer either.
    """
    try:
        # Parsed before it is kept: an answer that makes no sense must not replace the last good one.
        reply = _fetch(client, identity)
        replicas = parse_replicas(reply)
        durable.write_file(state / FILE_NAME, reply.line)
        return ReplicaList(replicas, fresh=True)
    except CollectorError as error:
        cached_replicas = read_cached_replicas(identity, state)
        if cached_replicas is None:
            raise
        return ReplicaList(cached_replicas, fresh=False, problem=error)


def _fetch(client: Client, identity: Identity) -> SignedReply:
    """Ask for the list. Try again a few times when the central server is away or busy."""
    assert identity.central is not None
    for attempt in range(_ATTEMPTS):
        try:
            return client.call("GET", "/replicas", "replicas", identity.central, identity.server)
        except (UnreachableError, RefusalError) as error:
            is_permanent = isinstance(error, RefusalError) and not error.retryable
            if is_permanent or attempt == _ATTEMPTS - 1:
                raise

        # Jitter, so that many servers whose cron jobs start at the same minute do not come back together.
        time.sleep(random.uniform(0, 2.0**attempt))
    raise AssertionError("the loop returns or raises")


def read_cached_replicas(identity: Identity, state: Path) -> Optional[List[AssignedReplica]]:
    """Return the replicas of the last answer, or None when there is none or its signature does not hold."""
    try:
        line = (state / FILE_NAME).read_bytes()
        return parse_replicas(open_reply(line, "replicas", identity.central or "", identity.server))
    except (OSError, UntrustedReplyError):
        return None


def parse_replicas(reply: SignedReply) -> List[AssignedReplica]:
    """Return the replicas in a reply. UntrustedReplyError when a member is missing or of another type."""
    replicas = reply.members.get("replicas")
    if not isinstance(replicas, list):
        raise UntrustedReplyError("the central server's answer holds no replicas")
    return [_parse_replica(members) for members in replicas]


def _parse_replica(members: Any) -> AssignedReplica:
    is_known_form = (
        isinstance(members, dict)
        and _has_members(members, _TEXT_MEMBERS, str)
        and _has_members(members, _BOOLEAN_MEMBERS, bool)
    )
    if not is_known_form:
        raise UntrustedReplyError("the central server's answer describes a replica in an unknown way")
    # The uuid becomes the name of a directory.
    if not _is_uuid(members["replica"]):
        raise UntrustedReplyError("the central server's answer names a replica that has no uuid")

    fields = {name: members[name] for name in _TEXT_MEMBERS + _BOOLEAN_MEMBERS}
    return AssignedReplica(**fields, central_end=_parse_central_end(members.get("last")))


def _has_members(members: Dict[str, Any], names: Sequence[str], kind: type) -> bool:
    return all(isinstance(members.get(name), kind) for name in names)


def _is_uuid(text: str) -> bool:
    """Return whether a text can be the name of a replica's directory: it must not lead anywhere else."""
    return len(text) == _UUID_LENGTH and set(text) <= _UUID_CHARACTERS


def _parse_central_end(last: Any) -> CentralChainEnd:
    if last is None:
        return CentralChainEnd(None, None)

    is_known_form = (
        isinstance(last, dict) and type(last.get("sequence")) is int and isinstance(last.get("statement"), str)
    )
    if not is_known_form:
        raise UntrustedReplyError("the central server's answer describes the last report in an unknown way")
    return CentralChainEnd(last["sequence"], last["statement"])
