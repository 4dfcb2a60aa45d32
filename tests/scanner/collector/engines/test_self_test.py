"""The self-test refuses tools that cannot be used at all."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scanner.collector.engines.profiles import GNU_Z, ToolCommand
from scanner.collector.engines.self_test import ToolRefusedError, verify_tool
from tests.fakes.install import install


@pytest.mark.parametrize("fault", ["wrong", "upper", "partial"])
def test_refused_tools(tmp_path: Path, fault: str) -> None:
    """A tool that fails the self-test on standard input is not used, and the reason names it."""
    path = install("faulty_sum", tmp_path, f"{fault}-sha256sum")
    with pytest.raises(ToolRefusedError, match=re.escape(path)):
        verify_tool(ToolCommand(path, GNU_Z, ("sha256",)))


def test_no_program(tmp_path: Path) -> None:
    """A path that cannot be executed is refused."""
    broken = tmp_path / "tool"
    broken.write_text("#!/no/such/interpreter\n")
    broken.chmod(0o755)
    for path in (broken, tmp_path / "missing", tmp_path):
        with pytest.raises(ToolRefusedError):
            verify_tool(ToolCommand(str(path), GNU_Z, ("sha256",)))
