"""Addresses of the divergences of a group: what makes no sense counts as absent, and the rest stands in new ones."""

from __future__ import annotations

import pytest
from django.http import QueryDict

from checker.divergences.listing import DivergenceListQuery


def read(query_string: str) -> DivergenceListQuery:
    return DivergenceListQuery.read(QueryDict(query_string))


@pytest.mark.parametrize(
    "query_string",
    [
        "",
        "kind=new&verdict=good&view=grid",
        "at=0",
        "at=1000",
        "at=-1",
        "at=x",
        "moment=soon",
        "moment=9999-12-31T23:59",
    ],
)
def test_nonsense_counts_as_absent(query_string: str) -> None:
    """No value refuses the page, not even a position that no column holds or a time that no zone knows."""
    assert read(query_string) == DivergenceListQuery()


def test_an_address_read_again_is_the_same() -> None:
    """Position and moment stand in addresses as a person wrote them."""
    query = read("kind=mismatch&at=007&below=/a/b/&moment=2026-05-04T03:02")
    assert query.filter.position == 7
    assert query.filter.below == "a/b/"
    assert query.time is not None and query.time.hour == 3
    assert query.address() == "?below=a%2Fb%2F&kind=mismatch&at=007&moment=2026-05-04T03%3A02"
    assert read(query.address().removeprefix("?")) == query


def test_a_search_needs_the_list() -> None:
    """Directories are folded unless something inside them is asked for."""
    assert read("").is_tree
    assert read("verdict=damaged").is_tree
    assert not read("search=x").is_tree
    assert not read("view=list").is_tree
