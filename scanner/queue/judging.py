"""Keep one worker free for ingest: tasks that judge share a number of slots, one less than there are workers.

A slow comparison then holds up other comparisons, but no report. A slot is an advisory lock, so a worker that dies
releases it. Tasks that judge wait in a queue of their own, from which the broker takes nothing while no slot is free.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from django.conf import settings

from scanner.db.locks import LockClass, advisory_lock, count_locks

Function = TypeVar("Function", bound=Callable[..., Any])


def slots() -> int:
    """Return how many tasks may judge at once. A single worker has to do everything."""
    workers = settings.Q_CLUSTER["workers"]
    assert isinstance(workers, int)
    return max(1, workers - 1)


def is_slot_free() -> bool:
    """Return whether a task that judges would find a slot now."""
    return count_locks(LockClass.JUDGING) < slots()


@contextmanager
def take_slot() -> Iterator[bool]:
    """Try to take a slot and yield whether there was one; do not wait."""
    for number in range(slots()):
        with advisory_lock(LockClass.JUDGING, number) as acquired:
            if acquired:
                yield True
                return
    yield False


def judges(otherwise: Callable[..., None]) -> Callable[[Function], Function]:
    """Mark a task as one that judges. Without a slot it only calls `otherwise` with its name and arguments."""

    def decorate(function: Function) -> Function:
        @functools.wraps(function)
        def perform(*arguments: int | str) -> Any:
            with take_slot() as has_slot:
                if has_slot:
                    return function(*arguments)
            otherwise(f"{function.__module__}.{function.__qualname__}", *arguments)
            return None

        perform.judges = True  # type: ignore[attr-defined]  # the registry reads it
        return perform  # type: ignore[return-value]  # it has the signature of what it wraps

    return decorate
