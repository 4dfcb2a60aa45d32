"""Read what the page of changes between two runs shows: a page of the list, or of one directory of the tree."""

from __future__ import annotations

from typing import NamedTuple

from checker.changes import queries
from checker.changes.listing import ChangeListQuery
from checker.changes.queries import ChangeRow, DirectorySummary
from checker.models import Comparison

PAGE_SIZE = 100
"""Rows on a page."""
ROWS_PREFIX = "."
"""Marks an `after` that points into the rows of a directory. Without it, `after` points into its subdirectories."""


class ChangeList(NamedTuple):
    """A page of changes."""

    directories: list[DirectorySummary]
    changes: list[ChangeRow]
    next_page: str
    """Address of the next page; empty on the last one."""


def read_change_list(comparison: Comparison, list_query: ChangeListQuery) -> ChangeList:
    """Return a page of changes.

    As a tree it has the subdirectories first, until there are no more, and then what lies directly in the directory.
    Raise InvalidPageToken for an `after` that no page gave.
    """
    if list_query.view == "tree":
        return _tree_page(comparison, list_query)

    changes, after = queries.read_page(comparison, list_query.filter, list_query.after, PAGE_SIZE)
    next_page = list_query.address(after=after) if after else ""
    return ChangeList([], changes, next_page)


def _tree_page(comparison: Comparison, list_query: ChangeListQuery) -> ChangeList:
    directories: list[DirectorySummary] = []
    rows_after = ""
    if list_query.after.startswith(ROWS_PREFIX):
        rows_after = list_query.after.removeprefix(ROWS_PREFIX)
    else:
        directories, after = queries.read_subdirectories(comparison, list_query.filter, list_query.after, PAGE_SIZE)
        if after:
            return ChangeList(directories, [], list_query.address(after=after))

    # The rows begin on the last page of subdirectories, so that a small directory is whole on one page.
    changes, after = queries.read_directory_page(comparison, list_query.filter, rows_after, PAGE_SIZE)
    next_page = list_query.address(after=ROWS_PREFIX + after) if after else ""
    return ChangeList(directories, changes, next_page)
