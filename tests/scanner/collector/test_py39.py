"""Run the whole collector on Python 3.9 without cryptography and psutil, against the fake central server."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.pythons import find_python
from tests.scanner.collector.fake_central import FakeCentral
from tests.scanner.collector.installation import Installation, clean_environment

_CHECK = (
    "import sys, importlib.util as u\n"
    "sys.exit(sys.version_info[:2] != (3, 9) or any(map(u.find_spec, ('cryptography', 'psutil'))))"
)

PYTHON = find_python("3.9", _CHECK)
pytestmark = [
    pytest.mark.skipif(PYTHON is None, reason="no python3.9 without cryptography and psutil"),
    pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl program"),
]


def zero_with_the_old_time(path: Path) -> None:
    """Replace the content of a file by zeros of the same length, and keep its modification time."""
    status = path.stat()
    path.write_bytes(bytes(status.st_size))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def test_every_command(installation: Installation, central: FakeCentral) -> None:
    """Every command works. OpenSSL signs, and the reports verify with cryptography as well."""
    assert PYTHON is not None
    result = installation.call("enroll", central.token(), "--server", central.url, python=PYTHON)
    assert result.exit_code == 0, result.stderr

    replica = central.add_replica(installation.tree, engine="auto")
    for number in (1, 2):
        result = installation.call("run", "--json", python=PYTHON)
        assert result.exit_code == 0, result.stderr
        assert result.summary["replicas"][0]["sequence"] == number, result.stderr
        assert result.summary["replicas"][0]["confirmed"] == number - 1
        zero_with_the_old_time(installation.tree / "sub" / "05.dat")

    assert installation.call("status", python=PYTHON).exit_code == 0
    (first_report, second_report) = installation.spool(replica).delivered_reports()
    assert installation.call("verify", str(first_report.path), python=PYTHON).exit_code == 0
    assert installation.call("verify", str(second_report.path)).exit_code == 0

    output = installation.directory / "out"
    result = installation.call("run", "--local", str(installation.tree), "--output", str(output), python=PYTHON)
    assert result.exit_code == 0, result.stderr
    assert installation.call("verify", str(next(output.iterdir()))).exit_code == 0


def test_without_openssl(installation: Installation, tmp_path: Path) -> None:
    """Without cryptography and OpenSSL, `init` says in one line what is needed."""
    assert PYTHON is not None
    (tmp_path / "empty").mkdir()
    result = installation.call("init", python=PYTHON, PATH=str(tmp_path / "empty"))
    assert result.exit_code == 2
    assert "cryptography, or OpenSSL 3" in result.stderr
    assert result.stderr.count("\n") == 1


def test_every_module_imports() -> None:
    """Each module of the collector can be imported on 3.9 with warnings as errors."""
    assert PYTHON is not None
    code = (
        "import importlib, pkgutil, scanner.collector as c\n"
        "names = [m.name for m in pkgutil.walk_packages(c.__path__, 'scanner.collector.')]\n"
        "[importlib.import_module(n) for n in names if not n.endswith('__main__')]\n"
        "print(len(names))"
    )
    process = subprocess.run(
        [PYTHON, "-W", "error", "-X", "dev", "-c", code],
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    assert int(process.stdout) > 30
