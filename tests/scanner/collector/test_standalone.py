"""Check reports of the real collector, and the directory that they describe, with the standalone verifier."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from scanner.collector.commands import verify
from tests.privileges import without_root
from tests.scanner.collector.installation import Installation
from tests.scanner.collector.run.test_local import run
from tests.scanner.standalone import call, verify_report


@pytest.fixture
def tree(installation: Installation) -> Path:
    """Do two local runs of a tree with a file whose name is not UTF-8."""
    with open(bytes(installation.tree) + b"/raw\xff\\", "wb") as file:
        file.write(b"raw")
    run(installation)
    run(installation)
    return installation.tree


def check(installation: Installation, directory: Path | None = None) -> tuple[int, list[str]]:
    """Return the verifier's exit code, and its lines about what is wrong or was not checked."""
    (known_key,) = verify.load_known_keys(installation.load_config(), None).values()
    options: list[str | Path] = [] if directory is None else ["--directory", directory]
    exit_code, output = call("--key", known_key.public.hex(), *options, installation.directory / "out")
    return exit_code, [line for line in output.splitlines() if line.startswith(("WRONG", "NOT"))]


def test_both_verifiers_agree(installation: Installation, tree: Path) -> None:
    """The reports hold for both verifiers, and the unchanged directory is as they say."""
    assert check(installation) == (0, [])
    assert check(installation, tree) == (0, [])

    keys = verify.load_known_keys(installation.load_config(), None)
    for path in (installation.directory / "out").iterdir():
        assert verify.verify_report(path, keys).exit_code == 0


def test_changes_are_named(installation: Installation, tree: Path) -> None:
    """Changed, missing and new files, and other links and types, are named. The names are harmless to a terminal."""
    (tree / "sub/02.dat").write_bytes(b"x")
    (tree / "sub/03.dat").unlink()
    (tree / "sub/new\x1b[31m").write_bytes(b"")
    (tree / "link").unlink()
    (tree / "link").symlink_to("sub/02.dat")
    (tree / "fifo").unlink()
    (tree / "fifo").mkdir()
    (tree / "dangling").symlink_to("/nowhere")

    assert check(installation, tree) == (
        1,
        [
            "WRONG: dangling: not in the report",
            "WRONG: fifo: not what it was",
            "WRONG: link: not what it was",
            "WRONG: sub/02.dat: not the file it was",
            "WRONG: sub/new\\x1b[31m: not in the report",
            "WRONG: sub/03.dat: not there",
        ],
    )


def test_links_are_never_followed(installation: Installation, tree: Path) -> None:
    """A link that took a directory's place is wrong, even with the same files behind it. A root may not be a link."""
    (tree / "sub").rename(installation.directory / "moved")
    (tree / "sub").symlink_to(installation.directory / "moved")
    exit_code, problems = check(installation, tree)
    assert exit_code == 1
    assert "WRONG: sub: not in the report" in problems
    assert "WRONG: sub/02.dat: not there" in problems

    (installation.directory / "tree2").symlink_to(tree)
    exit_code, _ = check(installation, installation.directory / "tree2")
    assert exit_code == 2


def test_a_file_that_became_a_link_or_a_pipe(installation: Installation, tree: Path) -> None:
    """A link to the same bytes is not the file, and a pipe in a file's place does not stop the verifier."""
    shutil.copy(tree / "sub/02.dat", installation.directory / "same")
    (tree / "sub/02.dat").unlink()
    (tree / "sub/02.dat").symlink_to(installation.directory / "same")
    (tree / "sub/03.dat").unlink()
    os.mkfifo(tree / "sub/03.dat")

    assert check(installation, tree) == (
        1,
        ["WRONG: sub/02.dat: not the file it was", "WRONG: sub/03.dat: not the file it was"],
    )


def test_unreadable_is_not_wrong(
    installation: Installation, tree: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A file and a directory that cannot be read now are not checked, and nothing below them counts as missing."""
    newest_path = sorted((installation.directory / "out").iterdir())[-1]
    report = verify_report.Report(newest_path)
    report.check({}, verify_report.Output(), keep_lines=True)

    output = verify_report.Output()
    (tree / "sub/02.dat").chmod(0)
    (tree / "sub/deep").chmod(0)
    monkeypatch.chdir(tree)
    with without_root():
        verify_report.check_directory(report, Path(), output)
    (tree / "sub/deep").chmod(0o755)

    sys.stdout.flush()
    text = capfd.readouterr().out
    assert output.outcomes == {2}
    assert "NOT CHECKED: sub/02.dat: [Errno 13]" in text
    assert "NOT CHECKED: a directory: [Errno 13]" in text


def test_a_directory_needs_one_replica(installation: Installation, tree: Path) -> None:
    """Reports of two replicas cannot be compared with one directory, and neither can a report that is broken."""
    newest_path = sorted((installation.directory / "out").iterdir())[-1]
    run(installation, root=bytes(tree / "sub"))
    exit_code, _ = check(installation)
    assert exit_code == 0

    exit_code, problems = check(installation, tree)
    assert exit_code == 2
    assert "for one replica" in problems[-1]

    newest_path.write_bytes(b"\x1f\x8b")
    exit_code, _ = check(installation)
    assert exit_code == 1
