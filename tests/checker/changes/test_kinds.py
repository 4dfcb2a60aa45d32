"""Each kind of change has words in both languages, an example that it fits, and its place in the documentation."""

from __future__ import annotations

import pytest
from django.utils import translation

from checker.changes.kinds import (
    CONFIRMED_DAMAGE,
    CORRUPTED,
    KINDS,
    MOVED,
    OUT_OF_SCOPE,
    REWRITTEN,
    ChangeKind,
    kind_of,
)
from checker.findings.kinds.paths import EVERY_POLICY, PathsKind
from checker.findings.kinds.registry import RUN_KINDS
from checker.models import Change, Finding
from scanner.format.excludes import scope_digest
from scanner.format.records import Record
from scanner.models import Scope
from tests.checker.changes.test_compare import confirmed_note
from tests.checker.staged_replica import LATER_MTIME, StagedReplica, change_kinds, file
from tests.scanner.factories import error_row, link_row
from tests.test_docs import READMES, page, read, spans, table_with, tables

all_kinds = pytest.mark.parametrize("kind", KINDS, ids=[kind.value.value for kind in KINDS])
both_languages = pytest.mark.parametrize("language", READMES)

KEEP = file("keep", b"keep")
UNLISTABLE = error_row("d", stage="list")
EXAMPLES: dict[str, list[list[Record]]] = {
    "unknown": [[KEEP, file("d/x")], [KEEP, UNLISTABLE]],
    "unreadable": [[KEEP, file("x")], [KEEP, error_row("x")]],
    "readable": [[KEEP, error_row("x")], [KEEP, file("x")]],
    "removed": [[KEEP, file("x")], [KEEP]],
    "added": [[KEEP], [KEEP, file("x")]],
    "retyped": [[KEEP, file("x")], [KEEP, link_row("x", "keep")]],
    "touched": [[KEEP, file("x")], [KEEP, file("x", mtime_ns=LATER_MTIME)]],
    "reverted": [[KEEP, file("x", b"1")], [KEEP, file("x", b"2")], [KEEP, file("x", b"1")]],
    "modified": [[KEEP, file("x", b"1")], [KEEP, file("x", b"2", mtime_ns=LATER_MTIME)]],
    "rewritten": [[KEEP, file("x", b"1")], [KEEP, file("x", b"2")]],
    "moved": [[KEEP, file("x")], [KEEP, file("y")]],
}
"""The records of runs, the newest of which has a change of this kind."""


def replica_with_damage() -> StagedReplica:
    """Return a replica on which a file changed although nobody wrote to it."""
    staged = StagedReplica()
    first = staged.run([KEEP, file("x", b"1")])
    staged.run([KEEP, file("x", b"2"), confirmed_note("x", str(first.uuid))])
    return staged


def replica_with_new_excludes() -> StagedReplica:
    """Return a replica of which the newest run leaves out what the run before it read."""
    digests = []
    for text in ("", "*.tmp"):
        digest = scope_digest(text.split(), False)
        Scope.objects.create(digest=bytes.fromhex(digest), excludes=text, cross_mounts=False)
        digests.append(digest)

    staged = StagedReplica()
    staged.run([KEEP, file("x.tmp")], config=digests[0])
    staged.run([KEEP], config=digests[1])
    return staged


def replica_with(kind: ChangeKind) -> StagedReplica:
    """Return a replica of which the newest run brought a change of this kind."""
    if kind.rules[0].condition == CONFIRMED_DAMAGE:
        return replica_with_damage()
    if kind is OUT_OF_SCOPE:
        return replica_with_new_excludes()

    staged = StagedReplica()
    for records in EXAMPLES[kind.value.value]:
        staged.run(records)
    return staged


@all_kinds
@pytest.mark.django_db(transaction=True)
def test_an_example_has_the_kind(kind: ChangeKind) -> None:
    """An example of the kind is found, and its row is stored under the kind's value."""
    comparison = replica_with(kind).compare()
    assert kind.value.value in change_kinds(comparison).values()
    assert comparison.counts[kind.value.value] == 1


@all_kinds
def test_a_kind_has_words_in_both_languages(kind: ChangeKind) -> None:
    """The label is translated."""
    with translation.override("en"):
        english = kind.label
    with translation.override("ru"):
        russian = kind.label

    assert english and russian and russian != english


@all_kinds
@both_languages
def test_a_kind_is_documented(kind: ChangeKind, language: str) -> None:
    """The page for every day has a section of the kind, under its anchor."""
    assert f'<a id="{kind.anchor}"></a>' in read(page(language, "everyday"))


@all_kinds
def test_a_kind_has_a_sign_of_one_character(kind: ChangeKind) -> None:
    """Colour is not all that tells kinds apart."""
    assert len(kind.sign) == 1
    assert kind_of(kind.value.value) is kind


@both_languages
def test_documentation_shows_the_table(language: str) -> None:
    """Both languages name each rule's kind in the order of the rules; English has the words of the code."""
    rules = [(kind.value.value, rule.description) for kind in KINDS for rule in kind.rules]
    (shown,) = [table for table in tables(language) if table.rows and spans(table.rows[0][0]) == [rules[0][0]]]

    assert [spans(row[0])[0] for row in shown.rows] == [value for value, _description in rules]

    if language == "en":
        assert [row[1] for row in shown.rows] == [description for _value, description in rules]
    assert table_with(language, "immutable")


def test_every_stored_value_has_a_kind() -> None:
    """No value is without a kind, and the last rule fits whatever remains. Renamed files are found in another way."""
    assert {kind.value for kind in KINDS} == set(Change.Kind)
    assert len(KINDS) == len(Change.Kind)
    assert [kind for kind in KINDS for rule in kind.rules if not rule.condition] == [CORRUPTED, REWRITTEN, MOVED]
    assert KINDS[-2:] == (REWRITTEN, MOVED) and REWRITTEN.rules[-1].condition == "true"


def test_grave_changes_are_findings_under_every_policy() -> None:
    """A kind that is grave by itself opens findings of the same severity, whatever the policy of the group is."""
    severities: dict[Change.Kind, Finding.Severity] = {}
    for kind in RUN_KINDS:
        if isinstance(kind, PathsKind) and kind.policies == EVERY_POLICY:
            severities.setdefault(kind.change, kind.severity)

    assert severities == {kind.value: kind.severity for kind in KINDS if kind.severity is not None}
