"""Reports that the real collector wrote, held against a directory by the standalone verifier."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from scanner.collector import config
from scanner.collector.commands import verify
from tests.privileges import lowered
from tests.scanner.collector.installation import Installation
from tests.scanner.collector.run.test_local import run
from tests.scanner.standalone import call, verify_report


@pytest.fixture
def tree(installation: Installation) -> Path:
    """A tree with a file whose name is no UTF-8, of which two local runs have reported."""
    with open(bytes(installation.tree) + b"/raw\xff\\", "wb") as file:
        file.write(b"raw")
    run(installation)
    run(installation)
    return installation.tree


def check(installation: Installation, directory: Path | None = None) -> tuple[int, list[str]]:
    """Exit code, and what does not hold or could not be looked at."""
    ((public, _),) = verify.load_known_keys(config.load_config(installation.conf), None).values()
    more: list[str | Path] = [] if directory is None else ["--directory", directory]
    code, said = call("--key", public.hex(), *more, installation.folder / "out")
    return code, [line for line in said.splitlines() if line.startswith(("WRONG", "NOT"))]


def test_both_verifiers_agree(installation: Installation, tree: Path) -> None:
    """What the collector wrote holds for both, each file and the chain, and so does the directory as it is."""
    assert check(installation) == check(installation, tree) == (0, [])
    keys = verify.load_known_keys(config.load_config(installation.conf), None)
    assert all(verify.verify_report(path, keys).exit_code == 0 for path in (installation.folder / "out").iterdir())


def test_what_changed_is_named(installation: Installation, tree: Path) -> None:
    """Changed, missing and further files, other links and other kinds are named; names are harmless."""
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
    """A directory that became a link to one with the same contents is no directory any more; nor is the root."""
    (tree / "sub").rename(installation.folder / "moved")
    (tree / "sub").symlink_to(installation.folder / "moved")
    code, said = check(installation, tree)
    assert code == 1 and "WRONG: sub: not in the report" in said and "WRONG: sub/02.dat: not there" in said
    (installation.folder / "tree2").symlink_to(tree)
    assert check(installation, installation.folder / "tree2")[0] == 2


def test_a_file_that_became_a_link_or_a_pipe(installation: Installation, tree: Path) -> None:
    """A link to the same bytes is not the file; a pipe in a file's place stops nothing."""
    shutil.copy(tree / "sub/02.dat", installation.folder / "same")
    (tree / "sub/02.dat").unlink()
    (tree / "sub/02.dat").symlink_to(installation.folder / "same")
    (tree / "sub/03.dat").unlink()
    os.mkfifo(tree / "sub/03.dat")
    wrong = [f"WRONG: sub/0{number}.dat: not the file it was" for number in (2, 3)]
    assert check(installation, tree) == (1, wrong)


def test_what_cannot_be_read_is_not_called_wrong(
    installation: Installation, tree: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A file and a directory that cannot be read now are told as not checked, and nothing below them as missing."""
    report = verify_report.Report(sorted((installation.folder / "out").iterdir())[-1])
    report.check({}, verify_report.Output(), keep_lines=True)
    output = verify_report.Output()
    (tree / "sub/02.dat").chmod(0)
    (tree / "sub/deep").chmod(0)
    monkeypatch.chdir(tree)
    with lowered():
        verify_report.check_directory(report, Path(), output)
    (tree / "sub/deep").chmod(0o755)
    sys.stdout.flush()
    said = capfd.readouterr().out
    assert {2} == output.outcomes
    assert "NOT CHECKED: sub/02.dat: [Errno 13]" in said and "NOT CHECKED: a directory: [Errno 13]" in said


def test_a_directory_needs_one_replica(installation: Installation, tree: Path) -> None:
    """Reports of two replicas cannot be held against one directory; nor can one that does not hold."""
    (newest,) = sorted((installation.folder / "out").iterdir())[-1:]
    run(installation, root=bytes(tree / "sub"))
    assert check(installation)[0] == 0
    code, said = check(installation, tree)
    assert code == 2 and "for one replica" in said[-1]
    newest.write_bytes(b"\x1f\x8b")
    assert check(installation)[0] == 1
