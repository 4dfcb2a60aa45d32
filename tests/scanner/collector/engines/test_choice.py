"""The choice of an engine, and what the statement says of it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from scanner.collector.engines import choice
from scanner.collector.engines.choice import EngineChoice, choose_engine
from scanner.collector.engines.hashlib_engine import HashlibEngine
from scanner.collector.engines.native_engine import NativeEngine
from scanner.collector.engines.profiles import GNU_Z, ToolCatalogue, ToolCommand
from scanner.collector.engines.self_test import verify_tool
from scanner.format.statement import read_statement
from tests.fakes.install import install
from tests.scanner.format.statements import make_statement

NO_TOOLS = ToolCatalogue([], [])
MIB = 1 << 20


def test_names() -> None:
    """There are three names of engines, and no fourth."""
    with pytest.raises(ValueError, match="'both'"):
        choose_engine("both")
    assert choose_engine("hashlib", NO_TOOLS).reason == "as configured"


@pytest.mark.parametrize("requested", ["native", "auto"])
def test_native_falls_back(tmp_path: Path, requested: str) -> None:
    """Without a tool that passes its self-test hashlib does the work, and the statement says why."""
    wrong = install("faulty_sum", tmp_path, "wrong-sha256sum")
    missing = str(tmp_path / "none")
    tools = ToolCatalogue([ToolCommand(path, GNU_Z, ("sha256",)) for path in (missing, wrong)], [])

    description = choose_engine(requested, tools).describe()
    assert description["name"] == "hashlib"
    assert description["wanted"] == requested
    assert f"{wrong}: wrong answer for standard input" in str(description["why"])
    assert f"{missing}: No such file" in str(description["why"])


def test_no_room_for_a_trial(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without a directory for the trial hashlib does the work, and the statement says why."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "missing"))
    chosen = choose_engine("auto")
    assert chosen.engine.name == "hashlib"
    assert chosen.reason == "no trial of native tools: No such file or directory; set TMPDIR"


@pytest.mark.parametrize(("native_rate", "name"), [(1.0, "hashlib"), (3.0, "native")])
def test_auto_takes_the_faster(monkeypatch: pytest.MonkeyPatch, native_rate: float, name: str) -> None:
    """`auto` times both engines and takes the faster one; the figures are part of the statement."""
    if choose_engine("native").engine.name != "native":
        pytest.skip("no native tools here")
    rates = {HashlibEngine.name: 2.0 * MIB, NativeEngine.name: native_rate * MIB}
    monkeypatch.setattr(choice._Trial, "rate", lambda _, engine: rates[engine.name])
    chosen = choose_engine("auto")
    assert chosen.engine.name == name
    assert chosen.reason == f"the faster in a trial: hashlib 2 MiB/s, native {native_rate:.0f} MiB/s"


@pytest.mark.parametrize("requested", ["hashlib", "native", "auto"])
def test_description_is_plain(requested: str) -> None:
    """The description is text and integers, names a tool for each algorithm, and survives JSON."""
    description = choose_engine(requested).describe()
    assert list(description) == ["name", "wanted", "why", "tools"]
    assert json.loads(json.dumps(description)) == description
    tools = description["tools"]
    assert isinstance(tools, list)
    assert [tool["algorithm"] for tool in tools] == ["sha256", "md5"]
    assert all(isinstance(value, (str, int)) for tool in tools for value in tool.values())


@pytest.mark.parametrize("requested", ["hashlib", "native", "auto"])
def test_a_statement_holds_the_description(requested: str) -> None:
    """The description of an engine that was really chosen is in form."""
    description = choose_engine(requested).describe()
    assert read_statement(make_statement(engine=description).payload()).engine == description


def test_a_statement_holds_odd_tools(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Long complaints, an inode beyond the numbers of a statement and a version with NUL do not cost the run."""
    tool_itself = install("faulty_sum", tmp_path, "right-sha256sum")
    program = tmp_path / "wrapper"
    program.write_text(f"#!/bin/sh\n[ $1 = --version ] && printf 'a\\000b' && exit\nexec {tool_itself} $@\n", "utf-8")
    program.chmod(0o755)
    real_stat = os.stat

    def stat_with_a_huge_inode(path: Any, **options: Any) -> Any:
        status = real_stat(path, **options)
        if path == str(program):
            return SimpleNamespace(st_size=status.st_size, st_ino=2**63, st_mtime_ns=status.st_mtime_ns)
        return status

    monkeypatch.setattr(os, "stat", stat_with_a_huge_inode)
    tool = verify_tool(ToolCommand(str(program), GNU_Z, ("sha256",)))
    assert tool.version == "ab"
    assert "ino" not in tool.identity

    description = EngineChoice(NativeEngine([tool]), "auto", "x" * 9000).describe()
    assert read_statement(make_statement(engine=description).payload()).engine == description
