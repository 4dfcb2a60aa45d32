"""Start the program `backup-syncer-collector`, also as `python -m scanner.collector`."""

from __future__ import annotations

import os
import sys
from types import TracebackType
from typing import Optional, Type

from scanner.collector.cli import run_command_line
from scanner.collector.exit_codes import ExitCode
from scanner.collector.system import interrupt


def main() -> int:
    """Run the command of this process's command line and return its exit code."""
    sys.excepthook = _exit_after_fault
    interrupt.install_handlers()
    return run_command_line(sys.argv[1:])


def _exit_after_fault(kind: Type[BaseException], error: BaseException, traceback: Optional[TracebackType]) -> None:
    """Print the traceback of a program fault and end with exit code 2.

    Python itself would end with 1, which means that the run was done and some files could not be read.
    """
    sys.__excepthook__(kind, error, traceback)
    sys.stderr.flush()
    os._exit(ExitCode.NOT_DONE)


if __name__ == "__main__":
    sys.exit(main())
