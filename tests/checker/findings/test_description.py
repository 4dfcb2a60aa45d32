"""Hold what a finding says: facts that are true now, whole, with advice that fits them."""

from __future__ import annotations

import hashlib
import re

import pytest
from django.test import Client
from django.utils import timezone

from checker.findings import actions, description
from checker.findings.description import Description
from checker.findings.kinds.registry import kind_of
from checker.models import Finding
from scanner.format.records import Record
from scanner.format.timestamps import format_timestamp
from tests.checker import stage
from tests.checker.changes.test_compare import confirmed_note
from tests.checker.findings.staging import run_with_changes
from tests.checker.staged_replica import LATER_MTIME, StagedReplica, file
from tests.scanner.factories import error_row, link_row, special_row

pytestmark = pytest.mark.django_db(transaction=True)

LATER_TIME = "2020-09-13 12:26:40"
"""LATER_MTIME in the calendar."""
LONG_PATH = "/".join(["d" * 250] * 15)


def describe(replica: StagedReplica, kind: str) -> Description:
    """Compare all runs of a replica. Return all that is said of its finding of a kind."""
    replica.compare()
    return description.describe(Finding.objects.get(replica=replica.replica, kind=kind))


def short_digest(content: bytes) -> str:
    """Return a digest as sentences show it."""
    return hashlib.sha256(content).hexdigest()[:12]


def run_ransomware(replica: StagedReplica) -> None:
    """Add two runs: of a thousand files 25 get one new ending and another content."""
    names = [f"{index}.jpg" for index in range(1000)]
    replica.run([file(name, name.encode()) for name in names])
    locked = [file(f"{name}.locked", b"E" + name.encode()) for name in names[:25]]
    replica.run([*(file(name, name.encode()) for name in names[25:]), *locked])


def test_a_renewed_finding_says_what_is_true_now() -> None:
    """A file that was damaged twice: what it held before, what it held then, and what it holds now."""
    replica = StagedReplica()
    run = replica.run([file("a", b"good"), file("keep")])
    for content in (b"bad!", b"worse"):
        run = replica.run([file("a", content), file("keep"), confirmed_note("a", str(run.uuid))])

    good = short_digest(b"good")
    bad = short_digest(b"bad!")
    worse = short_digest(b"worse")
    assert describe(replica, "corrupted").reasons[:5] == [
        "Run 2 found this; the previous complete run is 1.",
        f"The content changed in that run (SHA-256 {good}…, then {bad}…).",
        "Run 3 found this again; the previous complete run is 2.",
        f"The content is different (SHA-256 {bad}…, now {worse}…).",
        "The size was 4 bytes and is now 5 bytes.",
    ]


def test_a_file_that_is_edited_again() -> None:
    """If nothing may change, each edit has its own facts; those of the third take the place of the second's."""
    replica = StagedReplica(policy="immutable", limit_files=1000)
    for number, content in enumerate((b"1", b"2", b"3", b"4")):
        replica.run([file("a", content, mtime_ns=LATER_MTIME + number), file("keep")])
        replica.compare()
    text = " ".join(describe(replica, "modified").reasons)
    assert f"now {short_digest(b'4')}" in text
    assert "Run 4 found this again" in text
    assert short_digest(b"1") in text


def test_another_error_than_at_first() -> None:
    """The newest error is the one that counts, and the advice fits it."""
    replica = StagedReplica()
    replica.run([file("a"), file("keep")])
    replica.run([error_row("a"), file("keep")])
    replica.compare()
    replica.run([error_row("a", "EIO", "read"), file("keep")])
    words = describe(replica, "unreadable")
    assert "EIO" in " ".join(words.reasons)
    assert "EACCES" not in " ".join(words.reasons)
    assert "SMART" in " ".join(words.next_steps)


@pytest.mark.parametrize(
    ("error", "advised", "not_advised"),
    [("EIO", "SMART", "permissions"), ("EUNSTABLE", "SMART", "permissions"), ("EACCES", "permissions", "SMART")],
)
def test_advice_fits_the_error(error: str, advised: str, not_advised: str) -> None:
    """Who lacks a right is not sent to the disk, and who has a bad disk not to the permissions."""
    replica = StagedReplica()
    replica.run([error_row("a", error, "read"), file("keep")])
    advice = " ".join(describe(replica, "unreadable").next_steps)
    assert advised in advice
    assert not_advised not in advice


def test_a_sign_says_nothing_of_limits() -> None:
    """If ransomware or an emptied replica is the cause, no limit is said to be exceeded, nor where it comes from."""
    attacked = StagedReplica()
    run_ransomware(attacked)
    emptied = StagedReplica()
    for number in (118, 40):
        emptied.run([file(str(index), b"%d" % index) for index in range(number)])

    for replica in (attacked, emptied):
        text = " ".join(describe(replica, "mass_change").reasons)
        assert ("this alone would not put the replica on hold" in text) == (replica is attacked)
        assert "more than 100 files" not in text
        assert "sets no limit," not in text and "does not set" not in text
    assert describe(attacked, "mass_change").meaning.startswith("Ransomware leaves files like this.")
    assert describe(emptied, "mass_change").meaning.startswith("This much does not normally change")


@pytest.mark.parametrize(
    ("limits", "runs", "origin"),
    [({}, 1, "default"), ({}, 6, "history"), ({"limit_files": 20, "limit_share": 10}, 1, "group")],
)
def test_where_limits_come_from(limits: dict[str, int], runs: int, origin: str) -> None:
    """The history is named when there is one, and nothing when the group's own limits are all that counts."""
    replica = StagedReplica(**limits)
    for _run in range(runs):
        run_with_changes(replica, 500, 0)
    run_with_changes(replica, 500, 200)
    text = " ".join(describe(replica, "mass_change").reasons)
    assert "The replica goes on hold at more than" in text
    assert ("own history" in text) == (origin == "history")
    assert ("the default applies until" in text) == (origin == "default")


def test_a_released_replica_is_not_said_to_be_on_hold() -> None:
    """The next steps and the meaning are true of a replica that was released; undone, it is on hold again."""
    replica = StagedReplica()
    user = stage.make_user("operator")
    run_ransomware(replica)
    words = describe(replica, "mass_change")
    assert "until then it stays on hold" in words.next_steps[-1]
    assert "stays on hold" in words.meaning

    finding = Finding.objects.get()
    actions.release(finding, user, "meant")
    words = describe(replica, "mass_change")
    assert len(words.next_steps) == 1 and "undo it" in words.next_steps[0]
    assert "stays on hold" not in words.meaning
    assert "is no longer on hold" in words.meaning

    actions.undo(finding, user, "it was not")
    assert "stays on hold" in describe(replica, "mass_change").meaning


@pytest.mark.parametrize(
    ("kind", "before", "after", "sentence"),
    [
        ("touched", file("x"), file("x", mode=0o100600), "Mode: -rw-r--r-- 0644 → -rw------- 0600"),
        ("touched", file("x"), file("x", uid=5), "Owner, group: 0, 0 → 5, 0"),
        ("touched", file("x"), file("x", mtime_ns=LATER_MTIME + 7), f"and is now {LATER_TIME}.000000007 UTC."),
        ("moved", file("x"), file("y"), "The path was x and is now y."),
        ("retyped", file("x"), link_row("x", "a/b"), "Type: file → link"),
        ("retyped", file("x"), link_row("x", "a/b"), "Points to: – → a/b"),
        ("retyped", link_row("x", "a"), link_row("x", "b"), "Points to: a → b"),
        ("retyped", special_row("x"), special_row("x", "socket"), "Type: named pipe → socket"),
        ("removed", link_row("x", "a"), None, "Removed: link → a."),
        (
            "removed",
            file("x", b"old", mtime_ns=LATER_MTIME),
            None,
            f"Removed: file, 3 bytes, {LATER_TIME}.000000000 UTC, SHA-256 {short_digest(b'old')}….",
        ),
    ],
)
def test_facts_of_a_change(kind: str, before: Record, after: Record | None, sentence: str) -> None:
    """Each difference is named with both values, and a removed path with what it was."""
    replica = StagedReplica(policy="immutable", limit_files=1000)
    replica.run([file("keep", b"keep"), before])
    replica.run([file("keep", b"keep"), *([after] if after else [])])
    assert sentence in " ".join(describe(replica, kind).reasons)


def test_age_of_what_was_removed() -> None:
    """For rotating data the age of a file is named, and how long one is kept; without a time, how long it was known."""
    replica = StagedReplica(policy="rotating", keep_days=30)
    now = timezone.now().timestamp()
    young_ns = int((now - 3 * 86400) * 10**9)
    two_days_ago = now - 2 * 86400

    replica.run(
        [file("k/x"), file("young", b"young", mtime_ns=young_ns), file("timeless", b"timeless", mtime_ns=0)],
        started_at=format_timestamp(two_days_ago - 9),
        finished_at=format_timestamp(two_days_ago),
    )
    replica.run([file("k/x")], started_at=format_timestamp(now - 9), finished_at=format_timestamp(now))
    replica.compare()

    findings = Finding.objects.filter(kind="removed")
    assert {finding.path: description.describe(finding).reasons[-1] for finding in findings} == {
        "young": "By its modification time the file was 3 d old; this group keeps files for 30 d.",
        "timeless": "The file had been known for 2 d; this group keeps files for 30 d.",
    }


def test_long_names_are_short_in_a_sentence() -> None:
    """A name of thousands of bytes does not fill the proofs."""
    replica = StagedReplica(policy="append_only")
    replica.run([file("keep", b"keep"), file(LONG_PATH, b"x"), link_row("l", LONG_PATH)])
    replica.run([file("keep", b"keep"), file(f"{LONG_PATH}.moved", b"x"), link_row("l", "keep")])
    for kind in ("moved", "retyped"):
        assert max(map(len, describe(replica, kind).reasons)) < 500


def test_a_long_path_stands_whole_once(client: Client) -> None:
    """Lists and the title of the window have its two ends; the finding's own page has the whole of it, to be copied."""
    long_path = f"{LONG_PATH}/{'d' * 250}"
    staged = StagedReplica(name="Photos")
    staged.run([file("keep", b"keep"), file(long_path, b"x")])
    staged.run([file("keep", b"keep"), file(long_path, b"y")])
    staged.compare()
    stage.make_proof(staged.replica.runs.latest("sequence"))
    finding = Finding.objects.get()
    client.force_login(stage.make_user("operator"))

    replica = staged.replica
    for address in ("/", "/findings/", f"/replicas/{replica.uuid}/", f"/groups/{replica.group.uuid}/"):
        page = client.get(address).content.decode()
        assert f"/findings/{finding.uuid}/" in page, address
        assert "d" * 250 not in page, address

    page = client.get(f"/findings/{finding.uuid}/").content.decode()
    assert len(re.findall(f">{long_path}<", page)) == 1
    (title,) = re.findall("<title>(.*?)</title>", page, re.DOTALL)
    assert len(title) < 250
    assert "characters" in title and "changed, date unchanged" in title


def test_a_short_path_is_not_repeated(client: Client) -> None:
    """A whole path in the heading is not repeated."""
    replica = StagedReplica()
    for content in (b"x", b"y"):
        replica.run([file("a/short/path", content), file("keep")])
    replica.compare()
    client.force_login(stage.make_user())
    page = client.get(f"/findings/{Finding.objects.get().uuid}/").content.decode()
    assert '<p class="path">' not in page


@pytest.mark.parametrize(
    ("verdicts", "good_names", "meaning", "step"),
    [
        ("no", ["beta"], "The file was edited", "Let the sync finish. If nobody meant this edit"),
        ("gu", ["alpha"], "One content is known to be good", "If a newer version is on its way"),
        ("uu", [], "it is not certain which is right", "If a newer version is on its way"),
    ],
)
def test_differing_contents_mean_what_their_verdicts_say(
    verdicts: str, good_names: list[str], meaning: str, step: str
) -> None:
    """The finding does not call uncertain what a verdict says: which copy is newer or good."""
    evidence = {"copies": [{"copy": verdict} for verdict in verdicts], "damaged": [], "good": good_names}
    finding = Finding(kind=Finding.Kind.MISMATCH, path="a", evidence=evidence)
    assert meaning in kind_of(finding).meaning(finding)
    assert kind_of(finding).next_steps(finding)[0].startswith(step)

    finding.folded = True
    assert "The list shows what is known of each copy." in kind_of(finding).meaning(finding)
