"""Tell ransomware from what is none: many files get one new ending and another content."""

from __future__ import annotations

import pytest

from checker.findings import description
from checker.models import Finding
from scanner.format.records import Record
from tests.checker.findings.staging import open_findings
from tests.checker.staged_replica import StagedReplica, file

pytestmark = pytest.mark.django_db(transaction=True)


def run_with_locked_files(replica: StagedReplica, number: int, others: list[Record] | None = None) -> None:
    """Add a run of a thousand files of which so many have the ending that malware gave them."""
    names = [f"d{index % 3}/{index}.jpg" for index in range(1000)]
    locked = [file(f"{name}.locked", b"E" + name.encode()) for name in names[:number]]
    whole = [file(name, name.encode()) for name in names[number:]]
    replica.run([*whole, *locked, *(others or [])])


def test_a_new_ending_holds_the_replica() -> None:
    """Many files that get one new ending and another content hold the replica, however few they are of all."""
    replica = StagedReplica()
    names = [f"d{index % 3}/{index}.jpg" for index in range(2000)]
    replica.run([file(name, name.encode()) for name in names])
    locked = [file(f"{name}.locked", b"E" + name.encode()) for name in names[:25]]
    replica.run([*(file(name, name.encode()) for name in names[25:]), *locked])
    assert open_findings(replica) == [("mass_change", "", 25)]
    assert ".locked" in description.describe(Finding.objects.get()).title


@pytest.mark.parametrize("ending", [".id-1A2B.[pay@example.org].dharma", ".locked"])
def test_endings_of_many_parts(ending: str) -> None:
    """An ending may have several parts, as malware likes it."""
    replica = StagedReplica()
    names = [f"d{index % 3}/{index}.tar.gz" for index in range(1000)]
    replica.run([file(name, name.encode()) for name in names])
    locked = [file(name + ending, b"E" + name.encode()) for name in names[:25]]
    replica.run([*(file(name, name.encode()) for name in names[25:]), *locked])
    assert open_findings(replica) == [("mass_change", "", 25)]
    assert ending in description.describe(Finding.objects.get()).title


def test_one_earlier_file_with_the_ending_hides_nothing() -> None:
    """A file that had the ending before is counted, and silences nothing."""
    replica = StagedReplica()
    for number in (0, 25):
        run_with_locked_files(replica, number, others=[file("old.locked", b"old")])
    assert open_findings(replica) == [("mass_change", "", 25)]

    words = description.describe(Finding.objects.get())
    assert ".locked" in words.title
    assert words.reasons[0].startswith("Only 1 file had the extension .locked before")


def test_an_attack_that_was_caught_at_its_beginning() -> None:
    """Fifteen files in one night are too few for a sign; they do not hide those of the next night."""
    replica = StagedReplica(limit_files=10_000)
    for number, expected in ((0, []), (15, []), (915, [("mass_change", "", 900)])):
        run_with_locked_files(replica, number)
        assert open_findings(replica) == expected
    reasons = description.describe(Finding.objects.get()).reasons
    assert reasons[0].startswith("Only 15 files had the extension .locked before")


def test_honest_renaming_is_no_sign() -> None:
    """An ending that as many files had before, or a content that is the same, is nobody's ransom."""
    replica = StagedReplica()
    names = [f"{index}.jpg" for index in range(2000)]
    backups = [file(f"old/{index}.bak", b"%d" % index) for index in range(25)]
    replica.run([*(file(name, name.encode()) for name in names), *backups])

    changed = [file(f"{name}.bak", b"E" + name.encode()) for name in names[:25]]
    moved = [file(f"{name}.old", name.encode()) for name in names[25:60]]
    replica.run([*(file(name, name.encode()) for name in names[60:]), *changed, *moved, *backups])
    assert open_findings(replica) == []


def test_a_usual_ending_that_grows_is_no_sign() -> None:
    """Pictures that are converted into what most pictures are already raise nothing."""
    replica = StagedReplica()
    usual = [file(f"{index}.jpg", b"%d" % index) for index in range(900)]
    names = [f"raw/{index}" for index in range(80)]
    replica.run([*usual, *(file(f"{name}.png", name.encode()) for name in names)])
    replica.run([*usual, *(file(f"{name}.jpg", b"J" + name.encode()) for name in names)])
    assert open_findings(replica) == []


def test_logs_packed_under_a_date() -> None:
    """Logs that are packed each night under a name with a date are no ransom, new as the date is."""
    replica = StagedReplica()
    names = [f"log/{index}.log" for index in range(30)]
    packed = [file(f"{name}.20261121.gz", b"old" + name.encode()) for name in names]
    kept = [*packed, *(file(f"k/{index}", b"%d" % index) for index in range(900))]
    replica.run([*(file(name, name.encode()) for name in names), *kept])
    replica.run([*(file(f"{name}.20261122.gz", b"gz" + name.encode()) for name in names), *kept])
    assert open_findings(replica) == []


def test_empty_files_that_are_renamed() -> None:
    """An empty file under another name has no other content."""
    replica = StagedReplica()
    names = [f"{index}.flag" for index in range(25)]
    kept = [file(f"k/{index}", b"%d" % index) for index in range(900)]
    replica.run([*(file(name, b"") for name in names), *kept])
    replica.run([*(file(f"{name}.done", b"") for name in names), *kept])
    assert open_findings(replica) == []


@pytest.mark.parametrize("is_appended", [True, False])
def test_an_ending_for_each_file(is_appended: bool) -> None:
    """Ninety files that get an ending each, none of which was known before, are the same sign."""
    replica = StagedReplica()
    names = [f"d{index % 3}/{index}" for index in range(1000)]
    replica.run([file(f"{name}.jpg", name.encode()) for name in names])

    locked = []
    for index, name in enumerate(names[:90]):
        ending = f"x{index:x}q"
        stem = f"{name}.jpg" if is_appended else name
        locked.append(file(f"{stem}.{ending}", b"E" + name.encode()))
    replica.run([*(file(f"{name}.jpg", name.encode()) for name in names[90:]), *locked])

    assert open_findings(replica) == [("mass_change", "", 90)]
    words = description.describe(Finding.objects.get())
    assert words.title == "90 files got new extensions and different content"
    assert words.reasons[0].startswith("No file had any of these extensions before")


def test_a_patch_day_is_no_sign() -> None:
    """Libraries whose version is in their name are replaced by newer ones, and others are overwritten."""
    replica = StagedReplica()
    kept = [file(f"k/{index}", b"%d" % index) for index in range(900)]
    old = [file(f"lib/{index:02}.so.1.2.{index % 7}", b"old%d" % index) for index in range(60)]
    new = [file(f"lib/{index:02}.so.1.2.{index % 7 + 10}", b"new%d" % index, mtime_ns=1) for index in range(60)]
    modules = [file(f"mod/{index:02}.6.1.0-13-amd64", b"old%d" % index) for index in range(30)]
    newer = [file(f"mod/{index:02}.6.1.0-14-amd64", b"new%d" % index) for index in range(30)]
    replica.run([*kept, *old, *modules])
    replica.run([*kept, *new, *newer])
    assert open_findings(replica) == []


@pytest.mark.parametrize(("size", "packed_size"), [(9000, 900), (20, 60)])
def test_logs_that_are_packed_for_the_first_time(size: int, packed_size: int) -> None:
    """A directory of logs after `gzip`: each keeps its name and time, and all are smaller, or tiny. Nothing went."""
    replica = StagedReplica()
    logs = [file(f"log/{index:03}.log", b"%d" % index, size=size) for index in range(150)]
    packed = [file(f"log/{index:03}.log.gz", b"gz%d" % index, size=packed_size) for index in range(150)]
    kept = [file(f"k/{index}", b"%d" % index) for index in range(100)]
    replica.run([*kept, *logs])
    replica.run([*kept, *packed])
    assert open_findings(replica) == []


@pytest.mark.parametrize(
    ("ending", "fields"),
    [
        ("gz", {"size": 9500}),  # nothing was packed
        ("gz", {"size": 900, "mtime_ns": 1_700_000_000_000_000_000}),
        ("locked", {"size": 900}),
    ],
)
def test_what_only_looks_packed(ending: str, fields: dict[str, int]) -> None:
    """A known ending alone excuses nothing."""
    replica = StagedReplica()
    kept = [file(f"k/{index}", b"%d" % index) for index in range(900)]
    replica.run([*kept, *(file(f"log/{index}.log", b"%d" % index, size=9000) for index in range(30))])
    replica.run([*kept, *(file(f"log/{index}.log.{ending}", b"gz%d" % index, **fields) for index in range(30))])
    assert open_findings(replica) == [("mass_change", "", 30)]
