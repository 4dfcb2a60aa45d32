"""List the replicas that a server has to hash."""

from __future__ import annotations

from scanner.api.schema import AssignedReplica, LastRun
from scanner.models import Replica, Run, Server
from scanner.scopes import record_scope


def list_assigned_replicas(server: Server) -> list[AssignedReplica]:
    """Return the replicas of `server` with their newest runs, and record the scopes that are handed out."""
    replicas = Replica.objects.select_related("group").filter(
        server=server, origin=Replica.Origin.COLLECTOR, archived_at=None, group__archived_at=None
    )

    # One query for all replicas (DISTINCT ON), served by the index of run_once. Runs of every state count: a failed or
    # refused run has its place in the chain, too.
    newest_runs = Run.objects.filter(replica__in=replicas).order_by("replica_id", "-sequence").distinct("replica_id")
    newest_run_of = {run.replica_id: run for run in newest_runs}

    # Before the collector can use it: its statement will name the scope by its digest alone.
    for group in {replica.group for replica in replicas}:
        record_scope(group)

    ordered = replicas.order_by("group__name", "root")
    return [_describe_replica(replica, newest_run_of.get(replica.pk)) for replica in ordered]


def _describe_replica(replica: Replica, newest_run: Run | None) -> AssignedReplica:
    group = replica.group
    last = None
    if newest_run is not None:
        last = _describe_run(newest_run)

    return AssignedReplica(
        replica=str(replica.uuid),
        group=str(group.uuid),
        group_name=group.name,
        root=replica.root,
        enabled=replica.enabled,
        excludes=group.excludes,
        engine=group.engine,
        cross_mounts=group.cross_mounts,
        accept_root=replica.accept_root,
        interval_s=int(group.expected_interval.total_seconds()),
        last=last,
    )


def _describe_run(run: Run) -> LastRun:
    return LastRun(
        sequence=run.sequence,
        statement=bytes(run.statement).hex(),
        run=str(run.uuid),
        state=run.state,
        reason=run.reason,
    )
