"""Walk all kinds: each opens, is resolved or says why not, has its words in both languages, and is documented."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

import pytest
from django.utils import timezone, translation

from checker.findings import description, kinds
from checker.findings.kinds.base import FindingKind, Resolution
from checker.findings.kinds.registry import KINDS, REPLICAS_KINDS, RUN_KINDS
from checker.models import Change, Finding
from scanner.format.records import Record
from scanner.format.timestamps import format_timestamp
from tests.checker.changes.test_compare import confirmed_note
from tests.checker.staged_group import StagedGroup
from tests.checker.staged_replica import LATER_MTIME, StagedReplica, file
from tests.scanner.factories import error_row, link_row, special_row

DOCUMENTATION = Path(__file__).resolve().parents[4] / "docs"
KEPT = file("kept", b"kept")
"""A file that stays as it is: no run of these tests removes everything."""


@dataclass
class StagedRun:
    """Entries of a run, and how long ago it ended."""

    entries: Sequence[Record]
    hours_ago: float = 0
    confirmed: str = ""
    """A path of which a note says that two more reads confirmed the change since the run before."""


@dataclass
class Scenario:
    """Runs of one replica, the last of which opens a finding, and the run that resolves it."""

    runs: list[StagedRun]
    resolving: StagedRun
    group: dict[str, Any] = field(default_factory=dict)


IMMUTABLE = {"policy": "immutable", "limit_files": 1000}

SCENARIOS: dict[Finding.Kind, Scenario] = {
    Finding.Kind.CORRUPTED: Scenario(
        runs=[StagedRun([KEPT, file("x", b"good")]), StagedRun([KEPT, file("x", b"bad!")], confirmed="x")],
        resolving=StagedRun([KEPT, file("x", b"good")]),
    ),
    Finding.Kind.REWRITTEN: Scenario(
        runs=[StagedRun([KEPT, file("x", b"old")]), StagedRun([KEPT, file("x", b"new")])],
        resolving=StagedRun([KEPT, file("x", b"old")]),
    ),
    Finding.Kind.UNREADABLE: Scenario(
        runs=[StagedRun([KEPT, file("x")]), StagedRun([KEPT, error_row("x")])],
        resolving=StagedRun([KEPT, file("x")]),
    ),
    Finding.Kind.MOUNTED_OVER: Scenario(
        runs=[StagedRun([KEPT, file("d/x")]), StagedRun([special_row("d", "mount"), KEPT])],
        resolving=StagedRun([file("d/x"), KEPT]),
    ),
    Finding.Kind.EMPTY: Scenario(
        runs=[StagedRun([])],
        resolving=StagedRun([KEPT]),
    ),
    Finding.Kind.UNSTABLE: Scenario(
        runs=[StagedRun([KEPT, error_row("x", "ECHANGED", "read")])] * 3,
        resolving=StagedRun([KEPT, file("x")]),
    ),
    Finding.Kind.REMOVED: Scenario(
        group=IMMUTABLE,
        runs=[StagedRun([KEPT, file("x")]), StagedRun([KEPT])],
        resolving=StagedRun([KEPT, file("x")]),
    ),
    Finding.Kind.MODIFIED: Scenario(
        group=IMMUTABLE,
        runs=[StagedRun([KEPT, file("x", b"old")]), StagedRun([KEPT, file("x", b"new", mtime_ns=LATER_MTIME)])],
        resolving=StagedRun([KEPT, file("x", b"old")]),
    ),
    Finding.Kind.REVERTED: Scenario(
        group=IMMUTABLE,
        runs=[
            StagedRun([KEPT, file("x", content, mtime_ns=LATER_MTIME + number)])
            for number, content in enumerate((b"1", b"2", b"3", b"2"))
        ],
        resolving=StagedRun([KEPT, file("x", b"3", mtime_ns=LATER_MTIME + 9)]),
    ),
    Finding.Kind.RETYPED: Scenario(
        group=IMMUTABLE,
        runs=[StagedRun([KEPT, file("x")]), StagedRun([KEPT, link_row("x", "kept")])],
        resolving=StagedRun([KEPT, file("x")]),
    ),
    Finding.Kind.ADDED: Scenario(
        group=IMMUTABLE,
        runs=[StagedRun([KEPT]), StagedRun([KEPT, file("x")])],
        resolving=StagedRun([KEPT]),
    ),
    Finding.Kind.MOVED: Scenario(
        group=IMMUTABLE,
        runs=[StagedRun([KEPT, file("x")]), StagedRun([KEPT, file("y")])],
        resolving=StagedRun([KEPT, file("x")]),
    ),
    Finding.Kind.TOUCHED: Scenario(
        group=IMMUTABLE,
        runs=[StagedRun([KEPT, file("x")]), StagedRun([KEPT, file("x", mode=0o100600)])],
        resolving=StagedRun([KEPT, file("x")]),
    ),
    Finding.Kind.MASS_CHANGE: Scenario(
        group={"limit_files": 0, "limit_share": 0},
        runs=[StagedRun([KEPT, file("x", b"old")]), StagedRun([KEPT, file("x", b"new", mtime_ns=LATER_MTIME)])],
        resolving=StagedRun([KEPT, file("x", b"old")]),
    ),
    Finding.Kind.NO_NEW_FILE: Scenario(
        group={"policy": "rotating", "keep_days": 30, "expected_interval": timedelta(hours=1)},
        runs=[StagedRun([KEPT], hours_ago=9), StagedRun([KEPT], hours_ago=5)],
        resolving=StagedRun([KEPT, file("x")]),
    ),
}


def add_run(staged: StagedReplica, run: StagedRun) -> None:
    """Add a run, ingest it and compare it with the one before."""
    entries = list(run.entries)
    if run.confirmed:
        before = staged.replica.runs.latest("sequence")
        entries.append(confirmed_note(run.confirmed, str(before.uuid)))

    end = timezone.now().timestamp() - run.hours_ago * 3600
    staged.run(entries, started_at=format_timestamp(end - 1), finished_at=format_timestamp(end))
    staged.compare()


def open_finding(kind: Finding.Kind) -> tuple[Finding, StagedReplica]:
    """Return the finding that the scenario of a kind opens, and its replica."""
    scenario = SCENARIOS[kind]
    staged = StagedReplica(**scenario.group)
    for run in scenario.runs:
        add_run(staged, run)
    return Finding.objects.get(replica=staged.replica, kind=kind, state=Finding.State.OPEN), staged


def open_finding_between_replicas(kind: Finding.Kind) -> tuple[Finding, StagedGroup]:
    """Return a finding between two replicas, and their group: one lacks a file, or has another content."""
    group = StagedGroup(2)
    group.runs([KEPT, file("x", b"1")], [KEPT] if kind == Finding.Kind.MISSING else [KEPT, file("x", b"2")])
    group.compare()
    return Finding.objects.get(replica=None, kind=kind, state=Finding.State.OPEN), group


def sentences(finding: Finding, language: str) -> list[str]:
    """Return all sentences about a finding in one language."""
    with translation.override(language):
        words = description.describe(finding)
    ending = [words.ending] if words.ending else []
    return [words.title, *words.reasons, words.meaning, *words.next_steps, *ending]


def check_words(finding: Finding) -> None:
    """Assert that a finding is described whole in English, and in Russian sentence by sentence as well."""
    english = sentences(finding, "en")
    russian = sentences(finding, "ru")

    assert len(english) >= 4 and all(english), "title, proof, meaning and next step"
    assert len(russian) == len(english)
    for sentence, translated in zip(english, russian, strict=True):
        assert translated != sentence and re.search("[а-я]", translated), f"translate: {sentence}"
        assert "%(" not in sentence + translated


def test_every_stored_value_has_its_object() -> None:
    """The model's choices and the registry are the same kinds, and no module of kinds is left out."""
    assert set(KINDS) == set(Finding.Kind.values), "name each kind in the model and in kinds/registry.py"
    assert len(KINDS) == len(RUN_KINDS) + len(REPLICAS_KINDS)

    modules = [import_module(f"{kinds.__name__}.{module.name}") for module in iter_modules(kinds.__path__)]
    defined = {id(value) for module in modules for value in vars(module).values() if isinstance(value, FindingKind)}
    assert defined == {id(kind) for kind in KINDS.values()}, "name the kind in kinds/registry.py"


def test_every_kind_has_a_scenario() -> None:
    """The tests of this module leave no kind out."""
    assert set(SCENARIOS) == {kind.value for kind in RUN_KINDS}, "add runs that open and resolve the kind to SCENARIOS"
    assert {kind.value for kind in REPLICAS_KINDS} == {Finding.Kind.MISSING, Finding.Kind.MISMATCH}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("kind", list(SCENARIOS), ids=str)
def test_a_kind_opens_reads_well_and_is_resolved(kind: Finding.Kind) -> None:
    """A finding has its severity and its words; a proof resolves it."""
    finding, staged = open_finding(kind)
    assert finding.severity == KINDS[kind].severity
    check_words(finding)

    add_run(staged, SCENARIOS[kind].resolving)
    finding.refresh_from_db()
    assert finding.state == Finding.State.RESOLVED
    assert description.describe(finding).ending
    check_words(finding)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("kind", [Finding.Kind.MISSING, Finding.Kind.MISMATCH], ids=str)
def test_a_kind_between_replicas_opens_reads_well_and_is_resolved(kind: Finding.Kind) -> None:
    """A finding has its severity and its words; it is resolved when the replicas are alike again."""
    finding, group = open_finding_between_replicas(kind)
    assert finding.severity == KINDS[kind].severity
    check_words(finding)

    group.run(1, [KEPT, file("x", b"1")])
    group.compare()
    finding.refresh_from_db()
    assert KINDS[kind].resolution == Resolution.NO_DIVERGENCE
    assert finding.state == Finding.State.RESOLVED
    assert description.describe(finding).ending
    check_words(finding)


@pytest.mark.parametrize("language", ["en", "ru"])
def test_every_kind_is_documented(language: str) -> None:
    """The page of everyday work has a section for each kind, and for no kind that does not exist."""
    page = (DOCUMENTATION / language / "everyday.md").read_text(encoding="utf-8")
    anchors = re.findall(r'<a id="(finding-\w+)"></a>', page)
    expected = sorted(kind.anchor for kind in KINDS.values())
    assert sorted(anchors) == expected, f"give docs/{language}/everyday.md a section with an anchor for each kind"


@pytest.mark.parametrize("kind", RUN_KINDS, ids=lambda kind: kind.value)
def test_a_link_leads_to_changes(kind: FindingKind) -> None:
    """The changes that a finding links to are of a kind that exists, unless it is about a whole run."""
    change = kind.linked_change or kind.value.value
    assert change in Change.Kind.values or kind.concerns_whole_run, "set linked_change or concerns_whole_run"


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.value)
def test_labels_are_translated(kind: FindingKind) -> None:
    """The list of findings names each kind in both languages."""
    with translation.override("en"):
        english = kind.label
    with translation.override("ru"):
        russian = kind.label
    assert english and re.search("[а-я]", russian) and russian != english, f"translate: {english}"
