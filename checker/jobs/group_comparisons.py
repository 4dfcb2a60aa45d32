"""Comparisons of replicas as work: of each group its newest proven runs, and those of a moment when somebody asks."""

from __future__ import annotations

import time
from collections import Counter
from datetime import datetime, timedelta
from functools import partial

from django.db import transaction
from django.utils import timezone
from django_q.tasks import async_task

from checker.divergences import compare, judgement, missing_directories, moves, participants, primary, store
from checker.divergences.attribution import Before
from checker.divergences.compare import ComparedReplica
from checker.divergences.participants import Member
from checker.findings.replicas import update
from checker.models import Divergence, GroupComparison, Participant
from scanner.db import attempts
from scanner.db.errors import translate_database_errors
from scanner.db.locks import LockClass, advisory_lock
from scanner.format.excludes import Excludes, parse_excludes
from scanner.format.paths import decode
from scanner.models import Group
from scanner.tasks import UNSAVED

IMMEDIATE_FILES = 100_000
"""Files of all replicas together: when they are fewer, or all alike, a page waits for the comparison."""
FORGOTTEN_AFTER = timedelta(days=30)

State = GroupComparison.State
STATES = attempts.WorkStates(queued=State.WAITING, set_aside=State.SET_ASIDE)


def groups_to_compare(now: datetime) -> list[int]:
    """Groups whose newest comparison does not rest on what there is now."""
    groups = list(Group.objects.filter(archived_at=None))
    made = {one.group_id: one for one in GroupComparison.objects.filter(moment=None)}
    found = []
    for group, members in participants.members(groups, now).items():
        row = made.get(group)
        wanted = participants.basis(members[0].replica.group, members)
        if len(members) > 1 and (row is None or row.state == State.WAITING or row.basis != wanted):
            found.append(group)
    return found


def catch_up(group_id: int) -> bool:
    """Compare the replicas of a group by their newest proven runs, unless that is done; whether anything was done."""
    done = False
    with advisory_lock(LockClass.GROUP_COMPARISON, group_id) as mine:
        while mine and (comparison := _due(group_id)) is not None:
            _try(comparison)
            done = True
    return done


def newest_comparison(group: Group) -> GroupComparison | None:
    """The newest comparison of a group; None until it is begun."""
    return GroupComparison.objects.filter(group=group, moment=None).select_related("group").first()


def get_or_request(group: Group, moment: datetime) -> GroupComparison:
    """The comparison of a group's replicas as of a moment; done at once when that is quick, else WAITING.

    It is made anew when it rests on something else now: runs of then that came late, or a moment that was to come.
    """
    comparison, _new = GroupComparison.objects.select_related("group").get_or_create(group=group, moment=moment)
    GroupComparison.objects.filter(pk=comparison.pk).update(asked_at=timezone.now())
    members = participants.members([group], timezone.now(), moment).get(group.pk, [])
    if comparison.state == State.DONE and comparison.basis != participants.basis(group, members):
        GroupComparison.objects.filter(pk=comparison.pk, state=State.DONE).update(state=State.WAITING, attempts=0)
        comparison.refresh_from_db(fields=["state", "attempts"])
    if comparison.state == State.WAITING:
        if sum(one.run.files for one in members if one.run) < IMMEDIATE_FILES or _are_equal(_present(members)):
            compute(comparison.pk)
            comparison.refresh_from_db()
        else:
            async_task("checker.tasks.compare_moment", comparison.pk, q_options=UNSAVED)
    return comparison


def requested_comparisons() -> list[int]:
    """Comparisons of a moment that somebody asked for and that are still to be made."""
    found = GroupComparison.objects.filter(state=State.WAITING, moment__isnull=False).order_by("asked_at")
    return list(found.values_list("pk", flat=True))


def compute(comparison_id: int) -> None:
    """Do the work of one comparison of a moment."""
    comparison = GroupComparison.objects.select_related("group").get(pk=comparison_id)
    with advisory_lock(LockClass.GROUP_COMPARISON, comparison.group_id) as mine:
        if mine and comparison.state == State.WAITING:
            _try(comparison)


def delete_unused() -> int:
    """Delete comparisons of a moment that nobody has looked at for long; how many."""
    old = GroupComparison.objects.filter(moment__isnull=False, asked_at__lt=timezone.now() - FORGOTTEN_AFTER)
    done = 0
    for comparison in old[:100]:
        with transaction.atomic():
            store.forget(comparison.pk)
            comparison.delete()
        done += 1
    return done


def _due(group_id: int) -> GroupComparison | None:
    """The group's newest comparison when it is to be made, or made anew."""
    group = Group.objects.get(pk=group_id)
    members = participants.members([group], timezone.now()).get(group_id, [])
    if len(members) < 2:
        return None
    with translate_database_errors():
        row, new = GroupComparison.objects.select_related("group").get_or_create(group=group, moment=None)
    basis = participants.basis(group, members)
    if not new and row.state != State.WAITING and row.basis == basis:
        return None
    if row.basis != basis or row.state != State.WAITING:
        row.state, row.basis, row.attempts, row.reason = State.WAITING, basis, 0, ""
        row.save(update_fields=["state", "basis", "attempts", "reason"])
    return row


def _try(comparison: GroupComparison) -> None:
    """Make one attempt at the comparison."""
    name = f"comparison of the replicas of {comparison.group.uuid}"
    attempts.attempt(comparison, STATES, name, lambda: _make(comparison))


def _make(comparison: GroupComparison) -> None:
    begun, now, group = time.monotonic_ns(), timezone.now(), comparison.group
    members = participants.members([group], now, comparison.moment).get(group.pk, [])
    present = _present(members)
    there = [one.side(at) for at, one in enumerate(present, 1)]
    before = Before(comparison.pk, {replica: at for at, replica in enumerate(comparison.seating, 1)})
    try:
        if len(there) > 1:
            _find(group, present, there, before)
        with transaction.atomic():
            found = _gather(comparison, before, present, there, now) if len(there) > 1 else {}
            _seat(comparison, members, found)
            if len(there) > 1:
                _write(comparison)
                comparison.seating = [side.replica_id for side in there]
            comparison.basis = participants.basis(group, members)
            comparison.equal, comparison.duration_ns = _are_equal(present), time.monotonic_ns() - begun
            comparison.state, comparison.reason, comparison.computed_at = State.DONE, "", now
            comparison.attempts = 0
            comparison.save()
    finally:
        missing_directories.clear()


def _find(group: Group, members: list[Member], there: list[ComparedReplica], before: Before) -> None:
    lead = _leader(group, members, there)
    followers = [
        (side, member.run.finished_at) for member, side in zip(members, there, strict=True)
        if member.run and side is not lead
    ]  # fmt: skip
    first = lead and primary.may_lag(lead, min(finished for _side, finished in followers), group.lag)
    news = (lead.position, first) if lead and first is not None else None
    missing_directories.find(there, _certain(group, members, there), before, equal=_are_equal(members), news=news)
    _leave_scope(members, there)
    if group.relation == Group.Relation.SUBSET:
        for member, side in zip(members, there, strict=True):
            if member.replica.keeps:
                kept = parse_excludes(member.replica.keeps)
                compare.mark(side.position, Divergence.Cell.UNWANTED, partial(_is_not_in, kept))
    if lead is not None:
        primary.follow(lead, followers, group.lag)
    moves.pair(there)
    voters = {side.position: one.voter for one, side in zip(members, there, strict=True) if one.has_vote}
    store.judge(judgement.rulings(there, voters))


def _gather(
    comparison: GroupComparison, before: Before, members: list[Member], there: list[ComparedReplica], now: datetime
) -> dict[int, Counter[str]]:
    lead = _leader(comparison.group, members, there)
    comparison.counts = store.gather(before, there, lead.position if lead else None, now)
    return store.tally()


def _write(comparison: GroupComparison) -> None:
    """Keep what was gathered, and tell findings of it: of a moment there are none."""
    if comparison.moment is None:
        update.open_folded(comparison)
    store.write(comparison.pk)
    if comparison.moment is None:
        update.update_findings(comparison)


def _certain(group: Group, members: list[Member], there: list[ComparedReplica]) -> set[int]:
    """Positions where whatever is missing is lost: no exclude or pattern, nor that it leads, says otherwise."""
    lead = _leader(group, members, there)
    scopes = {one.statement.config for one in members if one.statement}
    subset = group.relation == Group.Relation.SUBSET
    return {
        side.position for member, side in zip(members, there, strict=True)
        if side is not lead and not (subset and member.replica.keeps) and (len(scopes) < 2 or not _left_out(member))
    }  # fmt: skip


def _leave_scope(members: list[Member], there: list[ComparedReplica]) -> None:
    """What a run left out by other excludes than another one's is not known there."""
    if len({one.statement.config for one in members if one.statement}) < 2:
        return
    for member, side in zip(members, there, strict=True):
        if excludes := _left_out(member):
            compare.mark(side.position, Divergence.Cell.UNSEEN, partial(_is_in, excludes))


def _left_out(member: Member) -> Excludes | None:
    excludes = member.excludes()
    return excludes if excludes is not None and excludes.patterns else None


def _is_in(patterns: Excludes, path: str) -> bool:
    return patterns.matches(decode(path), is_dir=False)


def _is_not_in(patterns: Excludes, path: str) -> bool:
    return not _is_in(patterns, path)


def _leader(group: Group, members: list[Member], there: list[ComparedReplica]) -> ComparedReplica | None:
    if group.relation != Group.Relation.PRIMARY:
        return None
    return next((side for member, side in zip(members, there, strict=True) if member.replica.leads), None)


def _present(members: list[Member]) -> list[Member]:
    return [one for one in members if one.run is not None]


def _are_equal(members: list[Member]) -> bool:
    contents = {bytes(one.run.content) if one.run and one.run.content else None for one in members}
    return len(members) > 1 and len(contents) == 1 and None not in contents


def _seat(comparison: GroupComparison, members: list[Member], found: dict[int, Counter[str]]) -> None:
    comparison.participants.all().delete()
    Participant.objects.bulk_create(
        Participant(
            comparison=comparison,
            position=at,
            replica=one.replica,
            run=one.run,
            standing=one.standing,
            voter=one.voter if one.has_vote else "",
            counts=found.get(at, {}),
        )
        for at, one in enumerate(members, 1)
    )
