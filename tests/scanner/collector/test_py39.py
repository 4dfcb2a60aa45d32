"""The whole collector on Python 3.9 without cryptography and psutil, against the central server's fake."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests import pythons
from tests.scanner.collector.fake_central import FakeCentral
from tests.scanner.collector.installation import Installation, clean_environment

_CHECK = (
    "import sys, importlib.util as u\n"
    "sys.exit(sys.version_info[:2] != (3, 9) or any(map(u.find_spec, ('cryptography', 'psutil'))))"
)


PYTHON = pythons.find("3.9", _CHECK)
pytestmark = [
    pytest.mark.skipif(PYTHON is None, reason="no python3.9 without cryptography and psutil"),
    pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl program"),
]


def test_road(installation: Installation, central: FakeCentral) -> None:
    """init, enroll, run, status, verify and run --local; OpenSSL signs, and the reports verify with cryptography."""
    assert PYTHON is not None
    done = installation.call("enroll", central.token(), "--server", central.url, python=PYTHON)
    assert done.exit_code == 0, done.stderr
    replica = central.add_replica(installation.tree, engine="auto")
    for number in (1, 2):
        done = installation.call("run", "--json", python=PYTHON)
        assert done.exit_code == 0 and done.summary["replicas"][0]["sequence"] == number, done.stderr
        assert done.summary["replicas"][0]["confirmed"] == number - 1
        path = installation.tree / "sub" / "05.dat"
        kept = path.stat()
        path.write_bytes(bytes(kept.st_size))
        os.utime(path, ns=(kept.st_atime_ns, kept.st_mtime_ns))
    assert installation.call("status", python=PYTHON).exit_code == 0
    (first, second) = installation.spool(replica).delivered_reports()
    assert installation.call("verify", str(first.path), python=PYTHON).exit_code == 0
    assert installation.call("verify", str(second.path)).exit_code == 0
    out = installation.folder / "out"
    done = installation.call("run", "--local", str(installation.tree), "--output", str(out), python=PYTHON)
    assert done.exit_code == 0, done.stderr
    assert installation.call("verify", str(next(out.iterdir()))).exit_code == 0


def test_without_openssl(installation: Installation, tmp_path: Path) -> None:
    """Where neither cryptography nor OpenSSL is, `init` says so in one line."""
    assert PYTHON is not None
    (tmp_path / "empty").mkdir()
    done = installation.call("init", python=PYTHON, PATH=str(tmp_path / "empty"))
    assert done.exit_code == 2 and "cryptography, or OpenSSL 3" in done.stderr and done.stderr.count("\n") == 1


def test_every_module_imports() -> None:
    """Each module of the collector can be imported on 3.9 with warnings as errors."""
    assert PYTHON is not None
    code = (
        "import importlib, pkgutil, scanner.collector as c\n"
        "names = [m.name for m in pkgutil.walk_packages(c.__path__, 'scanner.collector.')]\n"
        "[importlib.import_module(n) for n in names if not n.endswith('__main__')]\nprint(len(names))"
    )
    done = subprocess.run(
        [PYTHON, "-W", "error", "-X", "dev", "-c", code],
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0 and int(done.stdout) > 30, done.stderr
