"""The whole road with real processes: from a directory, by way of the admin's forms, to the page of a proven run."""

from __future__ import annotations

import html
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

from tests.flow.processes import REPOSITORY, Collector, RunningSystem, Visitor


def make_tree(root: Path) -> None:
    """Some files with names that a careless program breaks on."""
    (root / "deep" / "er").mkdir(parents=True)
    (root / "plain.txt").write_text("plain")
    (root / "deep" / "er" / "new\nline").write_text("newline")
    (root / "back\\slash").write_text("backslash")
    Path(os.fsdecode(os.fsencode(root) + b"/nonutf8_\xff\xfe")).write_text("bytes")
    (root / "<script>alert(1)<").write_text("markup")
    (root / "empty").touch()
    (root / "link").symlink_to("plain.txt")
    os.link(root / "plain.txt", root / "twin")


def enrol_by_the_admin(visitor: Visitor, root: Path) -> str:
    """Make group, server and replica in the admin and a token on the server's page; the command line comes back."""
    visitor.post("/admin/scanner/server/add/", name="alpha", note="")
    empty = {f"replicas-{key}_FORMS": value for key, value in (("INITIAL", "0"), ("MIN_NUM", "0"), ("MAX_NUM", "1000"))}
    replica = {"replicas-0-server": "1", "replicas-0-root": str(root), "replicas-0-enabled": "on"}
    saved = visitor.post(
        "/admin/scanner/group/add/",
        name="photos",
        note="",
        excludes="*.tmp",
        engine="auto",
        policy="mutable",
        relation="mirror",
        lag="86400",
        expected_interval="86400",
        **empty,
        **{"replicas-TOTAL_FORMS": "1"},
        **replica,
    )
    assert "errornote" not in saved, saved
    page = visitor.post("/admin/scanner/server/1/act/enrol/")
    line = re.search(r"backup-syncer-collector[^\n<]*bse1\.[^\s<]+[^\n<]*", page)
    assert line, page
    return html.unescape(line[0])


def test_directory_to_page(system: RunningSystem, tmp_path: Path) -> None:
    """A collector hashes what the admin configures; the run is proven and the page says so, names and all."""
    root = tmp_path / "data"
    make_tree(root)
    (root / "left.tmp").write_text("excluded")
    visitor = Visitor(system.url)
    visitor.log_in()
    words = shlex.split(enrol_by_the_admin(visitor, root))
    collector = Collector(tmp_path / "alpha", system.url)
    enrolled = collector(*words[words.index("enroll") :])
    assert enrolled.returncode == 0, enrolled.stderr
    done = collector("run", "--json")
    assert done.returncode == 0, done.stderr
    system.await_proofs(1)
    overview = visitor.get("/")
    assert "photos" in overview
    run = next(path for path in re.findall(r'href="(/[^"]*)"', overview) if "run" in path)
    page = visitor.get(run)
    assert "alpha" in page
    assert "<script>alert" not in page


def test_exported_report_is_the_spooled_one(system: RunningSystem, tmp_path: Path) -> None:
    """`export_report` gives the bytes that the collector kept as sent, and the collector's `verify` accepts them."""
    root = tmp_path / "data"
    make_tree(root)
    replica, token = system.replica(root, "alpha")
    collector = Collector(tmp_path / "alpha", system.url)
    assert collector("enroll", token).returncode == 0
    assert collector("run").returncode == 0
    system.await_proofs(1)
    offset = system.shell("from scanner.models import Server\nprint(Server.objects.get().clock_offset_s)")
    assert abs(int(offset)) <= 2, "the collector says what time it has"
    exported = tmp_path / "exported.jsonl"
    system.manage("export_report", f"{replica}:1", "--output", str(exported))
    (sent,) = (collector.state / "replicas" / replica / "sent").glob("*.jsonl.gz")
    original = subprocess.run(["gzip", "-dc", str(sent)], capture_output=True, check=True).stdout
    assert exported.read_bytes() == original
    verified = collector("verify", str(exported))
    assert verified.returncode == 0, verified.stderr


def test_verify_run_command(system: RunningSystem, tmp_path: Path) -> None:
    """`verify_run` exits with 0 for an honest run and with another code, naming the path, once a digest was edited."""
    root = tmp_path / "data"
    make_tree(root)
    replica, token = system.replica(root, "alpha")
    collector = Collector(tmp_path / "alpha", system.url)
    assert collector("enroll", token).returncode == 0
    assert collector("run").returncode == 0
    system.await_proofs(1)
    assert system.manage("verify_run", f"{replica}:1", check=False).returncode == 0
    system.shell(
        "from scanner.models import Version\nprint(Version.objects.filter(path='plain.txt').update(sha256=bytes(32)))"
    )
    tampered = system.manage("verify_run", f"{replica}:1", check=False)
    assert tampered.returncode == 1
    assert "plain.txt" in tampered.stdout


def test_python_module_is_the_collector(tmp_path: Path) -> None:
    """`python -m scanner.collector` and the installed command are one program."""
    done = subprocess.run(
        [sys.executable, "-m", "scanner.collector", "--help"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0
    assert all(command in done.stdout for command in ("init", "enroll", "run", "status", "verify"))
