"""Let a test make the collector die, fail or wait at a named point: `BACKUP_SYNCER_FAIL=POINT:N:ACTION`.

POINT is a name that is passed to `fail_point`, or `*` for any. N counts the visits from 1. ACTION is `kill`, `raise`
(ENOSPC) or `sleep`. Without the variable a point costs one comparison.
"""

from __future__ import annotations

import errno
import os
import signal
import time
from typing import Optional

_SLEEP_SECONDS = 3600


class _Plan:
    """The action that the environment variable asks for."""

    def __init__(self, text: str) -> None:
        self._point, visits, self._action = text.rsplit(":", 2)
        self._visits_left = int(visits)

    def visit(self, point: str, disk: bool, child: bool) -> None:
        is_any = self._point == "*" and not child
        if point != self._point and not is_any:
            return
        if self._action == "raise" and not disk:
            return
        self._visits_left -= 1
        if self._visits_left == 0:
            self._act(point)

    def _act(self, point: str) -> None:
        if self._action == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        elif self._action == "raise":
            raise OSError(errno.ENOSPC, f"{os.strerror(errno.ENOSPC)} (fail point {point})")
        elif self._action == "sleep":
            time.sleep(_SLEEP_SECONDS)


def _read_plan() -> Optional[_Plan]:
    text = os.environ.get("BACKUP_SYNCER_FAIL")
    return _Plan(text) if text else None


_PLAN = _read_plan()


def fail_point(name: str, disk: bool = False, child: bool = False) -> None:
    """Pass the point `name`, unless the plan has it fail.

    `disk` marks a point at which writing may fail: `raise` acts only there. `child` marks a point of a child process:
    `*` does not mean it, for it names the points of the collector itself.
    """
    if _PLAN is not None:
        _PLAN.visit(name, disk, child)
