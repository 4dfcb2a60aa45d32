"""Work on all that waits, one item after the other, so that an item that fails holds up no other."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from typing import TypeVar

from scanner.errors import RetryableError, SweepFailed

logger = logging.getLogger(__name__)

Item = TypeVar("Item")


class Sweep:
    """Works on items until a deadline. `done` counts what was done; `finish` raises what has failed."""

    def __init__(self, seconds: float) -> None:
        self._deadline = time.monotonic() + seconds
        self._errors: list[Exception] = []
        self.done = 0

    def perform(self, work: Callable[[Item], int | None], items: Iterable[Item]) -> None:
        """Call `work` with each item. It returns how many things it has done; None stands for one."""
        for item in items:
            if time.monotonic() > self._deadline:
                return
            try:
                number = work(item)
            except RetryableError as error:
                # A full disk or a lost connection: the item still waits, and the next sweep tries again.
                logger.warning("%s of %s waits: %s", work.__qualname__, item, error)
            # Any fault of one item: it is logged here, and `finish` raises it when the other items had their turn.
            except Exception as error:
                logger.exception("%s of %s failed", work.__qualname__, item)
                self._errors.append(error)
            else:
                self.done += 1 if number is None else number

    def finish(self) -> int:
        """Return how many things were done. Raise SweepFailed when items have failed."""
        if self._errors:
            first_error = self._errors[0]
            raise SweepFailed(f"{len(self._errors)} items failed, the first with: {first_error}") from first_error
        return self.done
