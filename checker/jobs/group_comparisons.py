"""Compare the replicas of groups: by their newest proven runs after each run, and as of a moment when somebody asks."""

from __future__ import annotations

import time
from collections import Counter
from datetime import datetime, timedelta
from typing import NamedTuple

from django.db import transaction
from django.utils import timezone

from checker.divergences import compare, judgement, missing_directories, moves, participants, primary, store
from checker.divergences.attribution import PreviousComparison
from checker.divergences.compare import ComparedReplica
from checker.divergences.participants import GroupMember
from checker.divergences.primary import Follower
from checker.findings.replicas import update
from checker.models import Divergence, GroupComparison, Participant
from scanner.db import attempts
from scanner.db.errors import translate_database_errors
from scanner.db.locks import LockClass, advisory_lock
from scanner.format.excludes import Excludes, parse_excludes
from scanner.format.paths import decode
from scanner.models import Group
from scanner.queue.broker import enqueue

IMMEDIATE_FILES = 100_000
"""Files of all replicas together. When there are fewer, or all are equal, a page waits for the comparison."""
UNUSED_AFTER = timedelta(days=30)
DELETED_AT_ONCE = 100
"""Comparisons that one call deletes, so that it ends soon."""

State = GroupComparison.State
STATES = attempts.WorkStates(queued=State.WAITING, set_aside=State.SET_ASIDE, failed_at="failed_at")


def groups_to_compare(now: datetime) -> list[int]:
    """Return the groups whose newest comparison rests on something else than what there is now."""
    groups = list(Group.objects.filter(archived_at=None))
    comparisons = {comparison.group_id: comparison for comparison in GroupComparison.objects.filter(moment=None)}
    declarations = participants.read_declarations(groups)

    group_ids = []
    for group_id, members in participants.read_members(groups, now).items():
        if len(members) < 2:
            continue

        comparison = comparisons.get(group_id)
        basis = participants.comparison_basis(members[0].replica.group, members, declarations.get(group_id))
        # One that was set aside is tried again only with another basis: the same one would fail again.
        if comparison is None or comparison.state == State.WAITING or comparison.basis != basis:
            group_ids.append(group_id)
    return group_ids


def catch_up(group_id: int) -> bool:
    """Compare the replicas of a group by their newest proven runs, unless that is done. Return whether it was not."""
    compared = False
    with advisory_lock(LockClass.GROUP_COMPARISON, group_id) as is_alone:
        # A run may become proven meanwhile: compare until nothing is new.
        while is_alone:
            comparison = _due_comparison(group_id)
            if comparison is None:
                break
            _attempt(comparison)
            compared = True
    return compared


def compare_again(group: Group) -> None:
    """Compare the replicas of a group after a declaration about a content: at once when that is quick."""
    members = participants.read_members([group], timezone.now()).get(group.pk, [])
    if _is_quick(members):
        catch_up(group.pk)
    else:
        enqueue("checker.tasks.compare_replicas", group.pk)


def newest_comparison(group: Group) -> GroupComparison | None:
    """Return the newest comparison of a group, or None before the first has begun."""
    return GroupComparison.objects.filter(group=group, moment=None).select_related("group").first()


def get_or_request(group: Group, moment: datetime) -> GroupComparison:
    """Return the comparison of a group's replicas as of a moment: computed at once when that is quick, else WAITING.

    It is computed anew when it rests on something else now: runs of then came late, or the moment lay ahead.
    """
    comparison, _created = GroupComparison.objects.select_related("group").get_or_create(group=group, moment=moment)
    # While somebody asks, `delete_unused` leaves it.
    GroupComparison.objects.filter(pk=comparison.pk).update(asked_at=timezone.now())

    members = participants.read_members([group], timezone.now(), moment).get(group.pk, [])
    if comparison.state == State.DONE and comparison.basis != _basis(group, members):
        GroupComparison.objects.filter(pk=comparison.pk, state=State.DONE).update(state=State.WAITING, attempts=0)
        comparison.refresh_from_db(fields=["state", "attempts"])

    if comparison.state != State.WAITING:
        return comparison
    if _is_quick(members):
        compute(comparison.pk)
        comparison.refresh_from_db()
    else:
        enqueue("checker.tasks.compare_moment", comparison.pk)
    return comparison


def requested_comparisons() -> list[int]:
    """Return the comparisons as of a moment that somebody asked for and that are not computed yet, oldest first."""
    waiting = GroupComparison.objects.filter(state=State.WAITING, moment__isnull=False)
    return list(waiting.order_by("asked_at").values_list("pk", flat=True))


def compute(comparison_id: int) -> None:
    """Compute one comparison as of a moment, unless it is done or another process is at it."""
    comparison = GroupComparison.objects.select_related("group").get(pk=comparison_id)
    with advisory_lock(LockClass.GROUP_COMPARISON, comparison.group_id) as is_alone:
        # A stale state is harmless: an attempt counts only while the row itself is waiting.
        if is_alone and comparison.state == State.WAITING:
            _attempt(comparison)


def delete_unused() -> int:
    """Delete comparisons as of a moment that nobody has looked at for long. Return how many."""
    unused_since = timezone.now() - UNUSED_AFTER
    unused = GroupComparison.objects.filter(moment__isnull=False, asked_at__lt=unused_since)
    deleted = 0
    for comparison in unused[:DELETED_AT_ONCE]:
        with transaction.atomic():
            store.delete_divergences(comparison.pk)
            comparison.delete()
        deleted += 1
    return deleted


def _due_comparison(group_id: int) -> GroupComparison | None:
    """Return the newest comparison of a group when it is to be computed, for the first time or anew."""
    group = Group.objects.get(pk=group_id)
    members = participants.read_members([group], timezone.now()).get(group_id, [])
    if len(members) < 2:
        return None

    with translate_database_errors():
        comparison, created = GroupComparison.objects.select_related("group").get_or_create(group=group, moment=None)
    basis = _basis(group, members)
    is_new_basis = comparison.basis != basis
    is_waiting = comparison.state == State.WAITING
    if not created and not is_waiting and not is_new_basis:
        return None

    if is_new_basis or not is_waiting:
        comparison.state = State.WAITING
        comparison.basis = basis
        comparison.attempts = 0
        comparison.reason = ""
        comparison.save(update_fields=["state", "basis", "attempts", "reason"])
    return comparison


def _basis(group: Group, members: list[GroupMember]) -> str:
    """Return what the comparison of some members rests on."""
    return participants.comparison_basis(group, members, participants.read_declarations([group]).get(group.pk))


def _attempt(comparison: GroupComparison) -> None:
    """Make one attempt to compute a comparison."""
    name = f"comparison of the replicas of {comparison.group.uuid}"
    attempts.attempt(comparison, STATES, name, lambda: _compute(comparison))


class _Compared(NamedTuple):
    """A member of the group that has a run, and what SQL needs of it."""

    member: GroupMember
    replica: ComparedReplica


def _compute(comparison: GroupComparison) -> None:
    begun = time.monotonic_ns()
    now = timezone.now()
    group = comparison.group

    members = participants.read_members([group], now, comparison.moment).get(group.pk, [])
    # Read first: a declaration that is made meanwhile changes the basis, and the comparison is made again.
    basis = _basis(group, members)
    # Only after the basis, which all who ask what is new read without any statement.
    members = participants.leave_out_unusable(members)
    with_run = [member for member in members if member.run is not None]
    compared = [_Compared(member, member.compared(position)) for position, member in enumerate(with_run, 1)]
    replicas = [pair.replica for pair in compared]
    positions = {replica_id: position for position, replica_id in enumerate(comparison.seating, 1)}
    previous = PreviousComparison(comparison.pk, positions)
    is_comparable = len(compared) > 1

    try:
        if is_comparable:
            _find_divergences(group, compared, previous, comparison.moment)

        # What was found and who took part are replaced at once: readers see either comparison as a whole.
        with transaction.atomic():
            counts: dict[int, Counter[str]] = {}
            if is_comparable:
                primary_replica = _primary(group, compared)
                comparison.counts = store.gather_divergences(previous, replicas, primary_replica, now)
                counts = store.count_cells()

            _write_participants(comparison, members, counts)
            if is_comparable:
                _write_divergences(comparison)
                if comparison.moment is None:
                    store.remember_damage(group.pk, replicas, now)
                comparison.seating = [replica.replica_id for replica in replicas]

            comparison.basis = basis
            comparison.equal = _are_equal(with_run)
            comparison.duration_ns = time.monotonic_ns() - begun
            comparison.state = State.DONE
            comparison.reason = ""
            comparison.failed_at = None
            comparison.computed_at = now
            comparison.attempts = 0
            comparison.save()
    finally:
        # The tables belong to the connection, which the worker uses for its next comparison.
        missing_directories.drop_tables()


def _find_divergences(
    group: Group, compared: list[_Compared], previous: PreviousComparison, moment: datetime | None
) -> None:
    """Find and judge in temporary tables what diverges."""
    replicas = [pair.replica for pair in compared]
    lead = _primary(group, compared)
    followers = [
        Follower(pair.replica, pair.member.run.ended_at)
        for pair in compared
        if pair.member.run is not None and pair.replica is not lead
    ]

    missing_directories.find_diverging(
        replicas,
        _certain_positions(group, compared),
        previous,
        equal=_are_equal([pair.member for pair in compared]),
        recent_from=_recent_from(lead, followers, group.lag),
    )

    # From here on cells are refined: first what need not be there, then what may lag, then what is elsewhere.
    _mark_out_of_scope(compared)
    if group.relation == Group.Relation.SUBSET:
        _mark_unwanted(compared)
    if lead is not None:
        primary.allow_differences(lead, followers, group.lag)
    moves.pair_names(replicas)
    # Last of all: what moved there from elsewhere is known under its other name.
    compare.ignore_names_on_hold(replicas)

    voters = {pair.replica.position: pair.member.voter for pair in compared if pair.member.has_vote}
    store.store_verdicts(judgement.judge_mismatches(replicas, voters, moment))


def _write_divergences(comparison: GroupComparison) -> None:
    """Store what was gathered. A comparison as of a moment opens no findings."""
    if comparison.moment is not None:
        store.write_divergences(comparison.pk)
        return

    # Findings of many paths are opened while these lie in the temporary table, so that each row is written once.
    update.open_folded(comparison)
    store.write_divergences(comparison.pk)
    update.update_findings(comparison)


def _write_participants(
    comparison: GroupComparison, members: list[GroupMember], counts: dict[int, Counter[str]]
) -> None:
    participants_to_write = []
    for position, member in enumerate(members, 1):
        voter = ""
        if member.has_vote:
            voter = member.voter
        participants_to_write.append(
            Participant(
                comparison=comparison,
                position=position,
                replica=member.replica,
                run=member.run,
                status=member.status,
                voter=voter,
                counts=counts.get(position, {}),
            )
        )

    comparison.participants.all().delete()
    Participant.objects.bulk_create(participants_to_write)


def _recent_from(lead: ComparedReplica | None, followers: list[Follower], lag: timedelta) -> tuple[int, int] | None:
    """Return the position of the primary and the first of its runs that some follower may lag behind."""
    if lead is None:
        return None
    # The follower whose run ended first may lag behind most.
    sequence = primary.first_lagging_run(lead, min(follower.finished for follower in followers), lag)
    if sequence is None:
        return None
    return lead.position, sequence


def _certain_positions(group: Group, compared: list[_Compared]) -> set[int]:
    """Return the positions where all that is missing is lost: no exclude, pattern or primary says otherwise."""
    lead = _primary(group, compared)
    has_one_scope = len(_scopes(compared)) < 2

    positions = set()
    for pair in compared:
        if pair.replica is lead:
            continue
        if group.relation == Group.Relation.SUBSET and pair.member.replica.keeps:
            continue
        if has_one_scope or not _patterns(pair.member):
            positions.add(pair.replica.position)
    return positions


def _mark_out_of_scope(compared: list[_Compared]) -> None:
    """Mark as unknown what a run left out by other excludes than those of another run."""
    if len(_scopes(compared)) < 2:
        return
    for pair in compared:
        excludes = _patterns(pair.member)
        if excludes is not None:
            _mark(pair.replica, Divergence.Cell.UNSEEN, excludes, matching=True)


def _mark_unwanted(compared: list[_Compared]) -> None:
    """Mark what a replica that keeps only a part is not to have."""
    for pair in compared:
        keeps = pair.member.replica.keeps
        if keeps:
            _mark(pair.replica, Divergence.Cell.UNWANTED, parse_excludes(keeps), matching=False)


def _mark(replica: ComparedReplica, cell: Divergence.Cell, patterns: Excludes, *, matching: bool) -> None:
    """Give a cell to the missing paths of a replica that match the patterns, or to those that do not."""

    def is_marked(path: str) -> bool:
        return patterns.matches(decode(path), is_dir=False) == matching

    compare.mark_missing(replica.position, cell, is_marked)


def _scopes(compared: list[_Compared]) -> set[str]:
    """Return the digests of all excludes with which the runs were made."""
    return {pair.member.statement.config for pair in compared if pair.member.statement}


def _patterns(member: GroupMember) -> Excludes | None:
    """Return the excludes of a run, or None when it left nothing out or they are not known."""
    excludes = member.excludes()
    if excludes is None or not excludes.patterns:
        return None
    return excludes


def _primary(group: Group, compared: list[_Compared]) -> ComparedReplica | None:
    """Return the replica that the others follow, or None where none leads."""
    if group.relation != Group.Relation.PRIMARY:
        return None
    for pair in compared:
        if pair.member.replica.leads:
            return pair.replica
    return None


def _is_quick(members: list[GroupMember]) -> bool:
    """Return whether a comparison takes no longer than a page can wait."""
    with_run = [member for member in members if member.run is not None]
    files = sum(member.run.files for member in with_run if member.run is not None)
    return files < IMMEDIATE_FILES or _are_equal(with_run)


def _are_equal(members: list[GroupMember]) -> bool:
    """Return whether the signed digests say that all members have the same contents."""
    digests = set()
    for member in members:
        if member.run is None or not member.run.content:
            return False
        digests.add(bytes(member.run.content))
    return len(members) > 1 and len(digests) == 1
