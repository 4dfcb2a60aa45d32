"""The command `compare_replicas`: it says what the page of a group says."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from checker.jobs import group_comparisons
from checker.models import Proof
from tests.checker.staged_divergences import staged_divergences
from tests.checker.staged_group import StagedGroup
from tests.checker.staged_replica import file
from tests.scanner import factories

pytestmark = pytest.mark.django_db(transaction=True)

TOO_FEW_PROVEN = (2, "fewer than two replicas have a proven run: there is nothing to compare")


@pytest.fixture
def group(transactional_db: None) -> StagedGroup:
    """Return three replicas, the second with a damaged copy, a missing and an unreadable file."""
    return staged_divergences()


def call(*arguments: str) -> tuple[int, str]:
    """Return the command's exit code and what it writes, or its error."""
    output = io.StringIO()
    try:
        call_command("compare_replicas", *arguments, stdout=output, stderr=io.StringIO())
    except SystemExit as exit_call:
        return int(str(exit_call.code)), output.getvalue()
    except CommandError as error:
        return error.returncode, str(error)
    return 0, output.getvalue()


def json_by_path(group: StagedGroup) -> dict[str, dict[str, Any]]:
    """Return the divergences that the command writes as JSON Lines."""
    _code, text = call(group.group.name, "--json")
    divergences = [json.loads(line) for line in text.splitlines()]
    return {divergence["path"]: divergence for divergence in divergences}


def test_text_json_and_csv(group: StagedGroup) -> None:
    """The divergences come as text, as JSON Lines and as a table; exit code 1 says that there are some."""
    code, text = call(group.group.name)
    assert code == 1 and "1 mismatch, 1 lost, 1 unknown" in text
    assert "mismatch  +++  a  [1 good; 2 damaged; 3 good]" in text and "lost      +-+  b/lost" in text
    code, text = call(str(group.group.uuid), "--json", "--kind", "lost")
    assert code == 1 and [json.loads(line)["path"] for line in text.splitlines()] == ["b/lost"]
    assert call(group.group.name, "--csv")[1].startswith("kind,path,verdict")
    assert call(group.group.name, "--kind", "moved")[0] == 0


def test_what_cannot_be_compared(group: StagedGroup) -> None:
    """Exit code 2 says that there is no answer, and the error why."""
    assert call(group.group.name, "--at", "2020-01-01T00:00") == TOO_FEW_PROVEN
    assert call(group.group.name, "--at", "tomorrow") == (2, "'tomorrow' is no time: give YYYY-MM-DDTHH:MM")
    for text in ("x", "0001-01-01T00:00+14:00", "9999-12-31T23:59:59-14:00", "0001-01-01T00:00", "2026-02-30T00:00"):
        assert call(group.group.name, "--at", text)[0] == 2
    assert call("no such group")[0] == 2
    single = factories.make_replica()
    assert call(single.group.name) == (2, "the group has fewer than two replicas")
    new = StagedGroup(2)
    assert group_comparisons.catch_up(new.group.pk)
    assert call(new.group.name) == TOO_FEW_PROVEN


def test_one_proven_run_is_not_enough(group: StagedGroup) -> None:
    """With runs that no longer hold there is nothing to compare."""
    Proof.objects.exclude(run__replica=group.replicas[0].replica).update(ok=False, proven_at=None)
    group.compare()
    assert call(group.group.name) == TOO_FEW_PROVEN


def test_each_format_says_what_the_page_says(group: StagedGroup) -> None:
    """Who has no vote, names that are almost alike, digests, and why a copy is good: in each format."""
    group.replicas[2].replica.enabled = False
    group.replicas[2].replica.save()
    common = [file("b/lost", b"1"), file("b/shut", b"2")]
    group.run(0, [file("a", b"good"), *common, file("Photo", b"p")])
    group.run(1, [file("a", b"bad"), *common, file("photo", b"q")])
    name = f"{group.replicas[2].replica.server.name}:/srv/data"

    _code, text = call(group.group.name)
    assert f"3  {name}  run 1" in text and "(off: no vote)" in text and "; alike but for case]" in text
    lines = text.splitlines()
    position = [line.startswith("mismatch  +++  a") for line in lines].index(True)
    assert lines[position + 1].startswith("    ") and "good, SHA-256" in lines[position + 1]
    assert "damaged," in lines[position + 2]

    divergences = json_by_path(group)
    mismatch = divergences["a"]
    assert [replica["standing"] for replica in mismatch["replicas"]] == ["current", "current", "off"]
    digests = [hashlib.sha256(content).hexdigest() for content in (b"good", b"bad", b"good")]
    assert [replica["sha256"] for replica in mismatch["replicas"]] == digests
    reason_lines = lines[position + 1 : position + 1 + len(mismatch["reasons"])]
    assert [line.strip() for line in reason_lines] == mismatch["reasons"] and mismatch["current"]
    photo = divergences["Photo"]
    assert photo["alike"] == "case" and "reasons" not in photo
    assert "sha256" in photo["replicas"][0] and "sha256" not in photo["replicas"][1]

    head, *table = csv.reader(io.StringIO(call(group.group.name, "--csv")[1]))
    assert head[5:] == [f"{name} (off: no vote)", "alike", "current"]
    assert {row[1]: row[6:] for row in table}["Photo"] == ["case", "yes"]
