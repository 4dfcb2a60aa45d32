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
from tests.scanner.collector.run.test_local import run
from tests.scanner.collector.stage import Stage
from tests.scanner.standalone import call, verify_report


@pytest.fixture
def tree(stage: Stage) -> Path:
    """A tree with a file whose name is no UTF-8, of which two local runs have reported."""
    with open(bytes(stage.tree) + b"/raw\xff\\", "wb") as file:
        file.write(b"raw")
    run(stage)
    run(stage)
    return stage.tree


def check(stage: Stage, directory: Path | None = None) -> tuple[int, list[str]]:
    """Exit code, and what does not hold or could not be looked at."""
    ((public, _),) = verify.load_known_keys(config.load_config(stage.conf), None).values()
    more: list[str | Path] = [] if directory is None else ["--directory", directory]
    code, said = call("--key", public.hex(), *more, stage.folder / "out")
    return code, [line for line in said.splitlines() if line.startswith(("WRONG", "NOT"))]


def test_both_verifiers_agree(stage: Stage, tree: Path) -> None:
    """What the collector wrote holds for both, each file and the chain, and so does the directory as it is."""
    assert check(stage) == check(stage, tree) == (0, [])
    keys = verify.load_known_keys(config.load_config(stage.conf), None)
    assert all(verify.verify_report(path, keys).exit_code == 0 for path in (stage.folder / "out").iterdir())


def test_what_changed_is_named(stage: Stage, tree: Path) -> None:
    """Changed, missing and further files, other links and other kinds are named; names are harmless."""
    (tree / "sub/02.dat").write_bytes(b"x")
    (tree / "sub/03.dat").unlink()
    (tree / "sub/new\x1b[31m").write_bytes(b"")
    (tree / "link").unlink()
    (tree / "link").symlink_to("sub/02.dat")
    (tree / "fifo").unlink()
    (tree / "fifo").mkdir()
    (tree / "dangling").symlink_to("/nowhere")
    assert check(stage, tree) == (
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


def test_links_are_never_followed(stage: Stage, tree: Path) -> None:
    """A directory that became a link to one with the same contents is no directory any more; nor is the root."""
    (tree / "sub").rename(stage.folder / "moved")
    (tree / "sub").symlink_to(stage.folder / "moved")
    code, said = check(stage, tree)
    assert code == 1 and "WRONG: sub: not in the report" in said and "WRONG: sub/02.dat: not there" in said
    (stage.folder / "tree2").symlink_to(tree)
    assert check(stage, stage.folder / "tree2")[0] == 2


def test_a_file_that_became_a_link_or_a_pipe(stage: Stage, tree: Path) -> None:
    """A link to the same bytes is not the file; a pipe in a file's place stops nothing."""
    shutil.copy(tree / "sub/02.dat", stage.folder / "same")
    (tree / "sub/02.dat").unlink()
    (tree / "sub/02.dat").symlink_to(stage.folder / "same")
    (tree / "sub/03.dat").unlink()
    os.mkfifo(tree / "sub/03.dat")
    wrong = [f"WRONG: sub/0{number}.dat: not the file it was" for number in (2, 3)]
    assert check(stage, tree) == (1, wrong)


def test_what_cannot_be_read_is_not_called_wrong(
    stage: Stage, tree: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A file and a directory that cannot be read now are told as not checked, and nothing below them as missing."""
    report = verify_report.Report(sorted((stage.folder / "out").iterdir())[-1])
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


def test_a_directory_needs_one_replica(stage: Stage, tree: Path) -> None:
    """Reports of two replicas cannot be held against one directory; nor can one that does not hold."""
    (newest,) = sorted((stage.folder / "out").iterdir())[-1:]
    run(stage, root=bytes(tree / "sub"))
    assert check(stage)[0] == 0
    code, said = check(stage, tree)
    assert code == 2 and "for one replica" in said[-1]
    newest.write_bytes(b"\x1f\x8b")
    assert check(stage)[0] == 1
