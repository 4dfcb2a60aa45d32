"""The program `backup-syncer-collector`, also `python -m scanner.collector`."""

from __future__ import annotations

import os
import sys
from types import TracebackType
from typing import Optional, Type

from scanner.collector.cli import run_command_line
from scanner.collector.system import interrupt


def main() -> int:
    """Do what the command line asks; the exit code comes back."""
    sys.excepthook = _fault
    interrupt.install()
    return run_command_line(sys.argv[1:])


def _fault(kind: Type[BaseException], error: BaseException, trace: Optional[TracebackType]) -> None:
    """A fault of the program is "not done", 2; Python's own 1 would mean that all but some files was read."""
    sys.__excepthook__(kind, error, trace)
    sys.stderr.flush()
    os._exit(interrupt.EXIT)


if __name__ == "__main__":
    sys.exit(main())
