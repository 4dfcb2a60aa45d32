"""Name types, errors, stages and notes of entries in words; write modes and times as the systems do."""

from __future__ import annotations

import stat
from datetime import UTC, datetime

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from scanner.format.entry_type import EntryType

TYPE_NAMES: dict[int, str] = {
    EntryType.FILE: "file",
    EntryType.ERROR: "error",
    EntryType.LINK: "link",
    EntryType.SPECIAL: "special",
}
"""Identifiers, for addresses, icons and style sheets."""
SPECIALS = {
    "fifo": gettext_lazy("named pipe"),
    "socket": gettext_lazy("socket"),
    "block": gettext_lazy("block device"),
    "char": gettext_lazy("character device"),
    "mount": gettext_lazy("another file system, not read"),
}
ERRORS = {
    "EACCES": gettext_lazy("permission denied"),
    "EPERM": gettext_lazy("operation not permitted"),
    "EIO": gettext_lazy("input/output error: the medium may be failing"),
    "ESTALE": gettext_lazy("stale file handle of a network file system"),
    "ELOOP": gettext_lazy("too many symbolic links"),
    "ENAMETOOLONG": gettext_lazy("name too long"),
    "ETIMEDOUT": gettext_lazy("timed out"),
    "ECHANGED": gettext_lazy("changed during each of three reads"),
    "ESHORT": gettext_lazy("ended before its reported size"),
    "EUNSTABLE": gettext_lazy("two reads gave different results: memory, cable or medium may be failing"),
    "EUCLEAN": gettext_lazy("the file system is damaged"),
    "EBADMSG": gettext_lazy("the file system reported a wrong checksum"),
}
STAGES = {
    "list": gettext_lazy("listing the directory"),
    "stat": gettext_lazy("reading the attributes"),
    "open": gettext_lazy("opening"),
    "read": gettext_lazy("reading"),
}
NOTES = {
    "confirmed": gettext_lazy("read again with the same result"),
    "misread": gettext_lazy("the first read was wrong"),
    "vanished": gettext_lazy("disappeared before it was read"),
    "skipped": gettext_lazy("skipped"),
    "clock": gettext_lazy("modification time is ahead of the clock or moved backwards"),
}


def type_name(entry_type: int) -> str:
    """Return the type of an entry as an identifier."""
    return TYPE_NAMES.get(entry_type, "special")


def special_text(detail: str) -> str:
    """Return the kind of a special file in words."""
    return str(SPECIALS.get(detail, detail))


def error_text(detail: str) -> str:
    """Return the meaning of an error's name; empty for a name that is not explained here."""
    return str(ERRORS.get(detail, ""))


def stage_text(stage: str) -> str:
    """Return in words at which stage of reading an error came."""
    return str(STAGES.get(stage, stage))


def note_text(note: str) -> str:
    """Return the meaning of a note."""
    return str(NOTES.get(note, note))


def hex_digest(digest: bytes | memoryview | None) -> str:
    """Return a digest in hex, or a dash where there is none."""
    if digest is None:
        return "–"
    return bytes(digest).hex()


def permissions(mode: int) -> str:
    """Return a mode as ls writes it, and in octal digits."""
    return f"{stat.filemode(mode)} {stat.S_IMODE(mode):04o}"


def exact_file_time(mtime_ns: int) -> str:
    """Return a file's time to the nanosecond, in UTC; the bare number where no calendar reaches."""
    seconds, nanoseconds = divmod(mtime_ns, 10**9)
    try:
        moment = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")
    except (ValueError, OverflowError, OSError):
        return _("%(n)d ns since 1970") % {"n": mtime_ns}
    return f"{moment}.{nanoseconds:09d} UTC"


def file_time(mtime_ns: int) -> str:
    """Return a file's time to the minute, in UTC."""
    text = exact_file_time(mtime_ns)
    if not text.endswith("UTC"):
        return text
    return text[: len("2000-01-01 00:00")]
