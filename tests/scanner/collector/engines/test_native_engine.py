"""The native engine with every tool there is, real or faked after transcripts: always right, or not used.

To test a new profile, give it a row in TOOLS.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import NamedTuple

import pytest

from scanner.collector.engines import native_engine, profiles
from scanner.collector.engines.base import ALGORITHMS, Meter
from scanner.collector.engines.checksum_tool import DigestsByAlgorithm, VerifiedTool
from scanner.collector.engines.native_engine import NativeEngine
from scanner.collector.engines.profiles import ToolCommand, ToolProfile
from scanner.collector.engines.self_test import verify_tool
from scanner.collector.entries import FailedFile, HashedFile, VanishedFile
from tests.fakes.install import install
from tests.scanner.collector import trees
from tests.scanner.collector.engines.hashing import FindTools, fake_tools, hash_files, installed_tools, walked_file
from tests.scanner.collector.trees import FreeMeter

UUTILS = "/usr/lib/cargo/bin/coreutils"
DELETED = (b"a", b"sub\\dir\n/-c")
"""Files that are deleted between walk and read."""


class Tools(NamedTuple):
    """A kind of tool, and what the self-test must find out."""

    profile: ToolProfile
    find: FindTools
    takes_many: bool = True
    utf8_only: bool | None = False
    """None: it depends on the version."""


def real(name: str, profile: ToolProfile, *, takes_many: bool = True, utf8_only: bool | None = False) -> Tools:
    """Return tools of this system. `{algorithm}` in the name is replaced."""
    return Tools(profile, installed_tools(name, profile), takes_many, utf8_only)


def fake(
    module: str, name: str, profile: ToolProfile, *, takes_many: bool = True, utf8_only: bool | None = False
) -> Tools:
    """Return fakes. `{algorithm}` in the name is replaced."""
    return Tools(profile, fake_tools(module, name, profile), takes_many, utf8_only)


def find_busybox(directory: Path) -> list[ToolCommand]:
    """Link busybox under the names of its tools."""
    busybox = shutil.which("busybox")
    if busybox is None:
        return []
    commands = []
    for algorithm in ALGORITHMS:
        link = directory / f"{algorithm}sum"
        link.symlink_to(busybox)
        commands.append(ToolCommand(str(link), profiles.GNU_LF, (algorithm,)))
    return commands


def find_shasum(_directory: Path) -> list[ToolCommand]:
    """Return shasum, which knows no MD5, with GNU's md5sum."""
    shasum = shutil.which("shasum")
    md5sum = shutil.which("md5sum")
    if shasum is None or md5sum is None:
        return []
    return [ToolCommand(shasum, profiles.SHASUM, ("sha256",)), ToolCommand(md5sum, profiles.GNU_Z, ("md5",))]


def find_openbsd(directory: Path) -> list[ToolCommand]:
    """Install the fake of OpenBSD's cksum, which computes both digests."""
    return [ToolCommand(install("openbsd_cksum", directory, "cksum"), profiles.OPENBSD, ALGORITHMS)]


TOOLS = {
    "gnu-z": real("{algorithm}sum", profiles.GNU_Z),
    "gnu-lf": real("{algorithm}sum", profiles.GNU_LF),
    "busybox": Tools(profiles.GNU_LF, find_busybox),
    "uutils": real(UUTILS + "/{algorithm}sum", profiles.GNU_LF, utf8_only=None),
    "openssl": real("openssl", profiles.OPENSSL),
    "shasum": Tools(profiles.SHASUM, find_shasum, takes_many=False, utf8_only=None),
    "bsd-z": fake("bsd_sum", "{algorithm}sum", profiles.BSD_Z),
    "bsd-tag": fake("bsd_sum", "{algorithm}", profiles.BSD_TAG),
    "openbsd": Tools(profiles.OPENBSD, find_openbsd),
    "digest": fake("sunos_digest", "digest", profiles.DIGEST),
    "toybox": fake("toybox_sum", "{algorithm}sum", profiles.GNU_LF, takes_many=False, utf8_only=None),
    "stops": fake("faulty_sum", "stops-{algorithm}sum", profiles.GNU_Z),
    "lossy": fake("faulty_sum", "lossy-{algorithm}sum", profiles.GNU_Z, utf8_only=True),
    "stray": fake("faulty_sum", "stray-{algorithm}sum", profiles.GNU_Z),
    "twice": fake("faulty_sum", "twice-{algorithm}sum", profiles.GNU_Z),
    "lost": fake("faulty_sum", "lost-{algorithm}sum", profiles.GNU_Z),
    "cut": fake("faulty_sum", "cut-{algorithm}sum", profiles.GNU_Z),
    "empty": fake("faulty_sum", "empty-{algorithm}sum", profiles.GNU_Z),
}


class ToolsUnderTest(NamedTuple):
    """Tools with the result of their self-test."""

    expected: Tools
    verified: list[VerifiedTool]


@pytest.fixture(params=list(TOOLS))
def tools(request: pytest.FixtureRequest, tmp_path: Path) -> ToolsUnderTest:
    """Each kind of tool, after its self-test."""
    expected = TOOLS[request.param]
    directory = tmp_path / "bin"
    directory.mkdir()
    commands = expected.find(directory)
    if not commands:
        pytest.skip(f"{request.param} is not installed")
    return ToolsUnderTest(expected, [verify_tool(command) for command in commands])


def verify_fakes(module: str, name: str, profile: ToolProfile, directory: Path) -> list[VerifiedTool]:
    """Install fakes and return them after their self-test."""
    directory.mkdir(exist_ok=True)
    return [verify_tool(command) for command in fake_tools(module, name, profile)(directory)]


def test_every_tool_on_nasty_names(tools: ToolsUnderTest, tmp_path: Path) -> None:
    """With every kind of tool each file has its own digests, and deleted files disturb nothing."""
    assert tools.verified[0].takes_many is tools.expected.takes_many
    assert tools.expected.utf8_only in (None, tools.verified[0].utf8_only)

    root = tmp_path / "root"
    content = trees.make_nasty_tree(root)
    files = trees.list_files(root)
    for path in DELETED:
        os.unlink(os.path.join(os.fsencode(root), path))

    results = hash_files(NativeEngine(tools.verified), root, files)
    for file in files:
        if file.path not in DELETED:
            assert results[file.path] == trees.expected_result(file, content[file.path])
    assert results[b"a"] == VanishedFile(b"a")


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="needs Linux")
def test_every_tool_on_a_read_error(tools: ToolsUnderTest) -> None:
    """A file whose reading fails has the error's name with every kind of tool."""
    files = [walked_file(b"/proc/self/mem", b"mem")]
    results = hash_files(NativeEngine(tools.verified), Path("/proc/self"), files)
    assert results == {b"mem": FailedFile(b"mem", "EIO", "read")}


def test_hung_tool(tmp_path: Path) -> None:
    """A tool that does not end is killed, and its files are read one by one."""
    tools = verify_fakes("faulty_sum", "hangs-{algorithm}sum", profiles.GNU_Z, tmp_path / "bin")
    root = tmp_path / "root"
    root.mkdir()
    for number in range(9):
        (root / str(number)).write_text(str(number))
    meter = FreeMeter()
    meter.no_progress = 4.0
    # The tool would never end by itself.
    results = hash_files(NativeEngine(tools), root, trees.list_files(root), meter)
    assert all(isinstance(result, HashedFile) for result in results.values())


def test_tool_that_breaks_later(tmp_path: Path) -> None:
    """A tool that breaks after its self-test is not the file's fault: the digests come from this process."""
    tools = verify_fakes("bsd_sum", "{algorithm}sum", profiles.BSD_Z, tmp_path)
    (tmp_path / "sha256sum").write_text(f"#!{shutil.which('sh')}\ncat >/dev/null\n")
    root = tmp_path / "root"
    root.mkdir()
    (root / "file").write_bytes(b"content")
    files = trees.list_files(root)
    assert hash_files(NativeEngine(tools), root, files) == {b"file": trees.expected_result(files[0], b"content")}


def test_short_read_is_noticed(tmp_path: Path) -> None:
    """A tool that gives the digest of a part, as some do after an error, is found out by the shared offset."""
    tools = verify_fakes("faulty_sum", "good-{algorithm}sum", profiles.GNU_Z, tmp_path)
    for algorithm in ALGORITHMS:
        program = tmp_path / f"good-{algorithm}sum"
        program.write_text(program.read_text().replace('FAULT == "partial"', "True"))

    root = tmp_path / "root"
    root.mkdir()
    (root / "odd\nname").write_bytes(bytes(300_000))
    (root / "large").write_bytes(bytes(33 << 20))
    results = hash_files(NativeEngine(tools), root, trees.list_files(root))
    assert results[b"large"] == FailedFile(b"large", "ESHORT", "read")
    assert isinstance(results[b"odd\nname"], HashedFile)


def test_rate_limit_holds_tools(tmp_path: Path) -> None:
    """Under a rate limit a large file's tools are stopped until their bytes were due, and all bytes are booked."""
    tools = [verify_tool(command) for command in TOOLS["gnu-z"].find(tmp_path)]
    if not tools:
        pytest.skip("gnu-z is not installed")
    (tmp_path / "large").write_bytes(os.urandom(80 << 20))
    meter = FreeMeter(rate_limited=True)
    hash_files(NativeEngine(tools), tmp_path, trees.list_files(tmp_path), meter)
    assert meter.reserved == meter.count == 80 << 20


def test_file_that_changes_during_its_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that changes while its batch runs is read again by itself."""
    tools = verify_fakes("bsd_sum", "{algorithm}sum", profiles.BSD_Z, tmp_path)
    root = tmp_path / "root"
    root.mkdir()
    (root / "file").write_text("before")
    files = trees.list_files(root)
    run_tool = native_engine._run_tool

    def run_and_change(tool: VerifiedTool, paths: list[bytes], seconds: float, meter: Meter) -> DigestsByAlgorithm:
        digests = run_tool(tool, paths, seconds, meter)
        (root / "file").write_text("after!")
        return digests

    monkeypatch.setattr(native_engine, "_run_tool", run_and_change)
    result = hash_files(NativeEngine(tools), root, files)[b"file"]
    assert isinstance(result, HashedFile)
    assert result == trees.expected_result(trees.list_files(root)[0], b"after!")
