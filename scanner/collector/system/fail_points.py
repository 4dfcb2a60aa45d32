"""Named points at which a test can make the collector die, fail or wait: `BACKUP_SYNCER_FAIL=POINT:N:ACTION`.

POINT is a name given to `reach`, or `*` for any; N counts from 1; ACTION is `kill`, `raise` (ENOSPC) or `sleep`.
Without the variable a point costs one comparison.
"""

from __future__ import annotations

import errno
import os
import signal
import time


class _Plan:
    def __init__(self, text: str) -> None:
        self.point, number, self.action = text.rsplit(":", 2)
        self.left = int(number)

    def reach(self, point: str, disk: bool) -> None:
        if self.point not in ("*", point) or (self.action == "raise" and not disk):
            return
        self.left -= 1
        if self.left == 0:
            self.act(point)

    def act(self, point: str) -> None:
        if self.action == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        elif self.action == "raise":
            raise OSError(errno.ENOSPC, f"{os.strerror(errno.ENOSPC)} (fail point {point})")
        elif self.action == "sleep":
            time.sleep(3600)


_PLAN = _Plan(os.environ["BACKUP_SYNCER_FAIL"]) if os.environ.get("BACKUP_SYNCER_FAIL") else None


def reach(point: str, disk: bool = False) -> None:
    """Pass the point `point`, unless the plan says otherwise. `disk`: writing may fail here, so `raise` acts here."""
    if _PLAN is not None:
        _PLAN.reach(point, disk)
