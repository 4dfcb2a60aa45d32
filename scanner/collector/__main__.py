"""Start the program `backup-syncer-collector`, also as `python -m scanner.collector`."""

from __future__ import annotations

import os
import sys
from types import TracebackType
from typing import Optional, Type

from scanner.collector.exit_codes import ExitCode
from scanner.collector.system import environment


def main() -> int:
    """Run the command of this process's command line and return its exit code."""
    environment.open_standard_streams()
    sys.excepthook = _exit_after_fault
    environment.use_utf8()
    try:
        # Imported here and not above: some systems pack parts of Python's library by themselves.
        from scanner.collector.cli import run_command_line
        from scanner.collector.system import interrupt
    except ImportError as error:
        return _report_missing_module(error)

    interrupt.install_handlers()
    return run_command_line(sys.argv[1:])


def _report_missing_module(error: ImportError) -> int:
    """Print one line that names what Python lacks. Exit code 1 would mean that some files could not be read."""
    from scanner.collector.terminal import print_message

    print_message(
        f"backup-syncer-collector: the Python at {sys.executable} lacks a part of its library: {error}; "
        "install it, or use another Python"
    )
    return ExitCode.NOT_DONE


def _exit_after_fault(kind: Type[BaseException], error: BaseException, traceback: Optional[TracebackType]) -> None:
    """Print the traceback of a program fault and end with exit code 2.

    Python itself would end with 1, which means that the run was done and some files could not be read.
    """
    try:
        sys.__excepthook__(kind, error, traceback)
        sys.stderr.flush()
    finally:
        os._exit(ExitCode.NOT_DONE)


if __name__ == "__main__":
    sys.exit(main())
