"""The rule table: one place in the code, the same in the documentation."""

from __future__ import annotations

import pytest

from checker.changes.rules import MOVED, RULES
from checker.models import Change
from tests.test_docs import READMES, spans, table_with, tables


@pytest.mark.parametrize("language", READMES)
def test_documentation_shows_the_table(language: str) -> None:
    """Both languages name each rule's kind in its order; English in the words of the code."""
    (shown,) = [table for table in tables(language) if table.rows and spans(table.rows[0][0]) == [RULES[0].kind.value]]
    assert [spans(row[0])[0] for row in shown.rows] == [rule.kind.value for rule in (*RULES, MOVED)]
    if language == "en":
        assert [row[1] for row in shown.rows] == [rule.words for rule in (*RULES, MOVED)]
    assert table_with(language, "immutable")


def test_every_kind_has_a_rule() -> None:
    """No kind of change is without a rule, and the last rule fits whatever is left."""
    assert {rule.kind for rule in (*RULES, MOVED)} == set(Change.Kind)
    assert RULES[-1].condition == "true"
