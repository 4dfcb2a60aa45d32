"""`export_report`: gives a report back as it was signed."""

from __future__ import annotations

import gzip
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from scanner import export
from scanner.run_name import find_run


class Command(BaseCommand):
    """Writes the uncompressed report, byte for byte, unless --gzip is given."""

    help = "Writes the report of a run, byte for byte as its server signed it."

    def add_arguments(self, parser: CommandParser) -> None:
        """Which run, and where to."""
        parser.add_argument("run", metavar="RUN", help="uuid of the run, or REPLICA-UUID:NUMBER")
        parser.add_argument("--output", type=Path, metavar="FILE", help="write to this file instead of stdout")
        parser.add_argument("--gzip", action="store_true", help="compress")

    def handle(self, *_args: Any, **options: Any) -> None:
        """One call."""
        try:
            run = find_run(options["run"])
            with _target(options["output"]) as raw:
                if not options["gzip"]:
                    raw.writelines(export.report(run))
                    return
                with gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) as packed:
                    packed.writelines(export.report(run))
        except PermissionError as error:
            if options["output"] is None:
                raise CommandError(str(error)) from error
            hint = "the command runs as the user of the system; export_report RUN > FILE writes as the shell may"
            raise CommandError(f"{error}: {hint}", returncode=2) from error
        except (LookupError, export.ExportError, OSError) as error:
            raise CommandError(str(error)) from error


@contextmanager
def _target(path: Path | None) -> Iterator[IO[bytes]]:
    """Stdout, or a file that is there only when it is whole."""
    if path is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    partial = path.with_name(f".{path.name}.part")
    try:
        partial.unlink(missing_ok=True)  # whatever has the name, perhaps planted, is not written through
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666), "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.rename(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
