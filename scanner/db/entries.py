"""Read the entries and notes of a run as pages: as a list, as a tree, and the history of one path.

The state at run N is `from_seq <= N AND (until_seq IS NULL OR until_seq > N)`. The order is that of the bytes of the
paths; ordering by the first 512 characters, which the indexes hold, and then by the whole path is the same order.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from scanner.db import keyset
from scanner.db.keyset import Page
from scanner.db.sql import fetch_all, like_pattern, load_statements
from scanner.models import Replica, Run

statement = load_statements(__file__)

LIST_ENTRIES_BY_PATH = statement("list_entries_by_path")
LIST_ENTRIES_BY_SIZE = statement("list_entries_by_size")
LIST_CHILDREN = statement("list_children")
LIST_NOTES = statement("list_notes")
LIST_VERSIONS = statement("list_versions")


class VersionRow(NamedTuple):
    """A version as a page shows it. `detail` as in `scanner.format.records.Entry`; digests are raw bytes."""

    id: int
    path: str
    type: int
    size: int | None
    mtime_ns: int | None
    mode: int | None
    uid: int | None
    gid: int | None
    sha256: bytes | None
    md5: bytes | None
    detail: str | None
    stage: str | None
    from_seq: int
    until_seq: int | None


class Child(NamedTuple):
    """An entry or a directory directly below a directory. `path` is complete; a directory's ends with a slash."""

    path: str
    entry: VersionRow | None
    """None for a directory: a report knows a directory by what lies below it."""

    @property
    def name(self) -> str:
        """Return the last part of the path."""
        return self.path.rstrip("/").rpartition("/")[2]


class NoteRow(NamedTuple):
    """A note as a page shows it. `detail` is canonical JSON or empty."""

    id: int
    note: str
    path: str
    detail: str


class EntryFilter(NamedTuple):
    """A choice among the entries of a run; empty means all. `search` and `prefix` are coded text."""

    search: str = ""
    """Text that the path holds anywhere."""
    prefix: str = ""
    """Text that the path begins with."""
    type: int | None = None
    """Type of the records; None for all."""


ALL_ENTRIES = EntryFilter()


def list_entries(
    run: Run, entry_filter: EntryFilter = ALL_ENTRIES, *, order: str = "path", after: str = "", limit: int = 100
) -> Page[VersionRow]:
    """Return a page of the entries at `run`, by `order`: `path`, or `-size` (largest first, those without one last).

    Raise InvalidPageToken when `after` is not a token of such a page.
    """
    parameters: dict[str, Any] = {
        "replica": run.replica_id,
        "sequence": run.sequence,
        "lower": None,
        "upper": None,
        **keyset.prefix_bounds(entry_filter.prefix),
        "type": entry_filter.type,
        "search": None,
        "limit": limit + 1,
    }
    if entry_filter.search:
        parameters["search"] = like_pattern(entry_filter.search)

    if order == "-size":
        # Without a key the condition on it is folded away.
        parameters |= {"size": None, "id": None}
        if after:
            parameters |= keyset.read_size_token(after)
        rows = [VersionRow(*row) for row in fetch_all(LIST_ENTRIES_BY_SIZE, parameters)]
        return keyset.cut_page(rows, limit, _size_key)

    if after:
        # A token is text from an address: whatever it says, it does not lead out of the prefix.
        parameters["lower"] = max(keyset.read_path_token(after), entry_filter.prefix)
    rows = [VersionRow(*row) for row in fetch_all(LIST_ENTRIES_BY_PATH, parameters)]
    return keyset.cut_page(rows, limit, lambda entry: keyset.key_behind(entry.path))


def list_children(run: Run, directory: str = "", after: str = "", limit: int = 100) -> Page[Child]:
    """Return a page of what stands directly below a directory at `run`, in the order of the paths.

    `directory` is empty for the root, else a path with a slash at its end. Raise InvalidPageToken when `after` is not a
    token of such a page.
    """
    parameters: dict[str, Any] = {
        "replica": run.replica_id,
        "sequence": run.sequence,
        "lower": "",
        "upper": None,
        **keyset.prefix_bounds(directory),
        "skip": len(directory) + 1,
        "limit": limit + 1,
    }
    if after:
        parameters["lower"] = max(keyset.read_path_token(after), directory)

    children = []
    for *columns, child_directory in fetch_all(LIST_CHILDREN, parameters):
        if child_directory is None:
            entry = VersionRow(*columns)
            children.append(Child(entry.path, entry))
        else:
            children.append(Child(child_directory, None))
    return keyset.cut_page(children, limit, _child_key)


def list_notes(run: Run, after: str = "", limit: int = 100) -> Page[NoteRow]:
    """Return a page of the notes of `run`, in the order of its report.

    Raise InvalidPageToken when `after` is not a token of such a page.
    """
    after_id = 0
    if after:
        after_id = keyset.read_id_token(after)
    parameters = {"run": run.pk, "after_id": after_id, "limit": limit + 1}
    rows = [NoteRow(*row) for row in fetch_all(LIST_NOTES, parameters)]
    return keyset.cut_page(rows, limit, lambda note: note.id)


def list_versions(replica: Replica, path: str) -> list[VersionRow]:
    """Return all versions of one path, oldest first."""
    return [VersionRow(*row) for row in fetch_all(LIST_VERSIONS, {"replica": replica.pk, "path": path})]


def _size_key(entry: VersionRow) -> list[int]:
    # As in the index version_size: negated, and 1 where there is no size.
    negated_size = 1
    if entry.size is not None:
        negated_size = -entry.size
    return [negated_size, entry.id]


def _child_key(child: Child) -> str:
    if child.entry is None:
        # Behind all that lies below the directory: '0' is the character that follows '/'.
        return child.path[:-1] + "0"
    return keyset.key_behind(child.path)
