"""The native engine with every tool there is, real or made from transcripts: always right, or not used."""

from __future__ import annotations

import errno
import os
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from scanner.collector.engines import checksum_tool as running
from scanner.collector.engines import native_engine as native
from scanner.collector.engines import profiles
from scanner.collector.engines import self_test as probe
from scanner.collector.engines.checksum_tool import Records, Stray, Tool
from scanner.collector.engines.native_engine import NativeEngine
from scanner.collector.engines.profiles import Candidate, Profile
from scanner.collector.entries import FailedFile, HashedFile, WalkedEntry
from tests.fakes.install import install
from tests.scanner.collector import trees
from tests.scanner.collector.engines.test_engine import hashed
from tests.scanner.collector.trees import FreeMeter

UUTILS = Path("/usr/lib/cargo/bin/coreutils")


def real(name: str, profile: Callable[[str], Profile]) -> Callable[[Path], list[Candidate]]:
    """A pair of tools of this system, `%s` for the algorithm."""

    def find(folder: Path) -> list[Candidate]:
        found = {algorithm: shutil.which(name % algorithm) for algorithm in ("sha256", "md5")}
        return [Candidate(path, profile(algorithm)) for algorithm, path in found.items() if path]

    return find


def busybox(folder: Path) -> list[Candidate]:
    path = shutil.which("busybox")
    for algorithm in ("sha256", "md5") if path else ():
        (folder / f"{algorithm}sum").symlink_to(str(path))
    return [Candidate(str(folder / f"{name}sum"), profiles.gnu_lf(name)) for name in ("sha256", "md5") if path]


def openssl(folder: Path) -> list[Candidate]:
    path = shutil.which("openssl")
    return [Candidate(path, profiles.openssl(name)) for name in ("sha256", "md5") if path]


def shasum(folder: Path) -> list[Candidate]:
    path, md5sum = shutil.which("shasum"), shutil.which("md5sum")
    return [Candidate(path, profiles.SHASUM), Candidate(md5sum, profiles.gnu_z("md5"))] if path and md5sum else []


def fakes(fake: str, name: str, profile: Callable[[str], Profile]) -> Callable[[Path], list[Candidate]]:
    """A pair of fakes, `%s` for the algorithm."""
    return lambda folder: [
        Candidate(install(fake, folder, name % algorithm), profile(algorithm)) for algorithm in ("sha256", "md5")
    ]


def openbsd(folder: Path) -> list[Candidate]:
    return [Candidate(install("openbsd_cksum", folder, "cksum"), profiles.OPENBSD)]


class Kind(NamedTuple):
    """Tools, and what the self-test must find."""

    tools: Callable[[Path], list[Candidate]]
    batch: bool
    utf8_only: bool | None = False


KINDS = {
    "gnu-z": Kind(real("%ssum", profiles.gnu_z), True),
    "gnu-lf": Kind(real("%ssum", profiles.gnu_lf), True),
    "busybox": Kind(busybox, True),
    "uutils": Kind(real(f"{UUTILS}/%ssum", profiles.gnu_lf), True, None),
    "openssl": Kind(openssl, True),
    "shasum": Kind(shasum, False, None),
    "bsd-z": Kind(fakes("bsd_sum", "%ssum", profiles.bsd_z), True),
    "bsd-tag": Kind(fakes("bsd_sum", "%s", profiles.bsd_tag), True),
    "openbsd": Kind(openbsd, True),
    "digest": Kind(
        lambda folder: [
            Candidate(install("sunos_digest", folder, "digest"), profiles.digest(name)) for name in ("sha256", "md5")
        ],
        True,
    ),
    "toybox": Kind(fakes("toybox_sum", "%ssum", profiles.gnu_lf), False, None),
    "stops": Kind(fakes("faulty_sum", "stops-%ssum", profiles.gnu_z), True),
    "lossy": Kind(fakes("faulty_sum", "lossy-%ssum", profiles.gnu_z), True, True),
    "stray": Kind(fakes("faulty_sum", "stray-%ssum", profiles.gnu_z), True),
    "twice": Kind(fakes("faulty_sum", "twice-%ssum", profiles.gnu_z), True),
    "lost": Kind(fakes("faulty_sum", "lost-%ssum", profiles.gnu_z), True),
    "cut": Kind(fakes("faulty_sum", "cut-%ssum", profiles.gnu_z), True),
    "empty": Kind(fakes("faulty_sum", "empty-%ssum", profiles.gnu_z), True),
}


@pytest.fixture(params=list(KINDS))
def kind(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Kind, list[Tool]]:
    """Each kind of tools, as examined."""
    kind = KINDS[request.param]
    (tmp_path / "bin").mkdir()
    candidates = kind.tools(tmp_path / "bin")
    if not candidates:
        pytest.skip(f"{request.param} is not installed")
    return kind, [probe.examine(candidate) for candidate in candidates]


def test_every_tool_on_nasty_names(kind: tuple[Kind, list[Tool]], tmp_path: Path) -> None:
    """With every kind of tool each file has its own digests, and what is gone or closed in between disturbs nothing."""
    expected, tools = kind
    assert tools[0].batch is expected.batch
    assert expected.utf8_only in (None, tools[0].utf8_only)
    root = tmp_path / "root"
    content = trees.make_nasty_tree(root)
    files = trees.list_files(root)
    for name in (b"a", b"sub\\dir\n/-c"):
        os.unlink(os.path.join(os.fsencode(root), name))
    found = hashed(NativeEngine(tools), root, files)
    for each in files:
        if each.path not in (b"a", b"sub\\dir\n/-c"):
            assert found[each.path] == trees.expected_result(each, content[each.path])
    assert found[b"a"] == (b"a",)


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="needs Linux")
def test_every_tool_on_a_read_error(kind: tuple[Kind, list[Tool]]) -> None:
    """A file whose reading fails has the error's name with every kind of tool."""
    seen = os.lstat(b"/proc/self/mem")
    ids = seen.st_mode, seen.st_uid, seen.st_gid, seen.st_dev, seen.st_ino
    memory = WalkedEntry(b"mem", 1, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns, *ids)
    assert hashed(NativeEngine(kind[1]), Path("/proc/self"), [memory]) == {b"mem": FailedFile(b"mem", "EIO", "read")}


@pytest.mark.parametrize("fault", ["wrong", "upper", "partial"])
def test_refused_tools(tmp_path: Path, fault: str) -> None:
    """A tool that fails the self-test on standard input is not used at all, and the reason names it."""
    path = install("faulty_sum", tmp_path, f"{fault}-sha256sum")
    with pytest.raises(probe.Refused, match=re.escape(path)):
        probe.examine(Candidate(path, profiles.gnu_z("sha256")))


def test_tool_that_is_none(tmp_path: Path) -> None:
    """What cannot be executed is refused."""
    (tmp_path / "tool").write_text("#!/no/such/interpreter\n")
    (tmp_path / "tool").chmod(0o755)
    for path in (tmp_path / "tool", tmp_path / "missing", tmp_path):
        with pytest.raises(probe.Refused):
            probe.examine(Candidate(str(path), profiles.gnu_z("sha256")))


def test_hung_tool(tmp_path: Path) -> None:
    """A tool that does not end is ended, and its files are read one by one."""
    (tmp_path / "bin").mkdir()
    tools = [probe.examine(each) for each in fakes("faulty_sum", "hangs-%ssum", profiles.gnu_z)(tmp_path / "bin")]
    root = tmp_path / "root"
    root.mkdir()
    for number in range(9):
        (root / str(number)).write_text(str(number))
    meter = FreeMeter()
    meter.no_progress = 4.0
    started = time.monotonic()
    found = hashed(NativeEngine(tools), root, trees.list_files(root), meter)
    assert time.monotonic() - started < 20
    assert all(isinstance(result, HashedFile) for result in found.values())


def test_tool_that_dies_on_standard_input(tmp_path: Path) -> None:
    """When a tool breaks after its self-test, the fault is not the file's: the digests come from this process."""
    path = install("bsd_sum", tmp_path, "sha256sum")
    tools = [probe.examine(Candidate(path, profiles.bsd_z("sha256")))]
    tools += [probe.examine(Candidate(install("bsd_sum", tmp_path, "md5sum"), profiles.bsd_z("md5")))]
    Path(path).write_text(f"#!{shutil.which('sh')}\ncat >/dev/null\n")
    root = tmp_path / "root"
    root.mkdir()
    (root / "file").write_bytes(b"content")
    files = trees.list_files(root)
    assert hashed(NativeEngine(tools), root, files) == {b"file": trees.expected_result(files[0], b"content")}


def test_short_read_is_noticed(tmp_path: Path) -> None:
    """When a tool gives the digest of a part, as some do after an error, the shared offset tells."""
    tools = [probe.examine(each) for each in fakes("faulty_sum", "good-%ssum", profiles.gnu_z)(tmp_path)]
    for name in ("sha256", "md5"):
        install("faulty_sum", tmp_path, f"partial-{name}sum").replace("partial", "good")
        (tmp_path / f"partial-{name}sum").replace(tmp_path / f"good-{name}sum")
        (tmp_path / f"good-{name}sum").write_text(
            (tmp_path / f"good-{name}sum").read_text().replace('fault == "partial"', "True")
        )
    root = tmp_path / "root"
    root.mkdir()
    (root / "odd\nname").write_bytes(bytes(300_000))
    (root / "large").write_bytes(bytes(33 << 20))
    found = hashed(NativeEngine(tools), root, trees.list_files(root))
    assert found[b"large"] == FailedFile(b"large", "ESHORT", "read")
    assert isinstance(found[b"odd\nname"], HashedFile)


def test_rate_limit_holds_tools(tmp_path: Path) -> None:
    """Under a rate limit a large file's tools are stopped until their bytes were due; all bytes are booked."""
    tools = [probe.examine(each) for each in KINDS["gnu-z"].tools(tmp_path)]
    if not tools:
        pytest.skip("gnu-z is not installed")
    (tmp_path / "large").write_bytes(os.urandom(80 << 20))
    files = trees.list_files(tmp_path)
    meter = FreeMeter(paced=True)
    hashed(NativeEngine(tools), tmp_path, files, meter)
    assert meter.reserved == meter.count == 80 << 20


GNU, TAG = profiles.gnu_z("md5"), profiles.bsd_tag("md5")
HEX = b"d41d8cd98f00b204e9800998ecf8427e"


@pytest.mark.parametrize(
    ("output", "profile", "names"),
    [
        (HEX + b"  /a\0" + HEX + b" */b\nc\0", GNU, [b"/a", b"/b\nc"]),
        (HEX + b"  /a\0" + HEX + b"  /b", GNU, [b"/a"]),
        (b"", GNU, []),
        (HEX, GNU, []),
        (b"MD5 (/a) = " + HEX + b"\nMD5 (/b) = (c) = " + HEX + b"\n", TAG, [b"/a", b"/b) = (c"]),
    ],
)
def test_records(output: bytes, profile: Profile, names: list[bytes]) -> None:
    """Whole records of files that were asked for are believed; a torn last one is none."""
    operands = [b"/a", b"/b\nc", b"/b) = (c", b"/b"]
    assert list(running.parse(output, profile, operands)["md5"]) == names


@pytest.mark.parametrize(
    "output",
    [
        HEX + b"  /other\0",
        HEX + b"  /a\0" + HEX + b"  /a\0",
        HEX.upper() + b"  /a\0",
        b"\\" + HEX + b"  /a\0",
        HEX[1:] + b"  /a\0",
        b"warning\0" + HEX + b"  /a\0",
        HEX + b"  /a\n\0",
        b"\0",
    ],
)
def test_strays(output: bytes) -> None:
    """One record that is not whole, not asked for or there already makes all of the output worthless."""
    with pytest.raises(Stray):
        running.parse(output, GNU, [b"/a"])


def test_groups_fit_a_call() -> None:
    """Operands are dealt into calls by number and by bytes; one that is longer than a call has one of its own."""
    operands = [b"x" * 50_000, b"y" * 50_000, b"z" * 200_000, *[b"a"] * 5]
    parts = running.groups(operands, 3)
    assert [len(operands[part]) for part in parts] == [1, 1, 1, 3, 2]
    assert [each for part in parts for each in operands[part]] == operands
    assert running.groups([], 3) == []


def test_too_long_a_call_is_halved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the system finds a call too long, it is made in halves."""
    calls = []
    whole = running._output

    def limited(command: list[bytes], seconds: float, beat: Callable[[], None]) -> bytes:
        calls.append(len(command))
        if len(command) > 5:
            raise OSError(errno.E2BIG, "Argument list too long")
        return whole(command, seconds, beat)

    monkeypatch.setattr(running, "_output", limited)
    path = install("bsd_sum", tmp_path, "md5sum")
    operands = []
    for number in range(5):
        (tmp_path / str(number)).write_text(str(number))
        operands.append(os.fsencode(tmp_path / str(number)))
    records: Records = running.run_batch(path, profiles.bsd_z("md5"), operands, 10.0)
    assert list(records["md5"]) == operands
    assert calls == [8, 5, 6, 4, 5]


def test_environment_of_tools(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tools see neither the user's PATH and locale nor what changes how they read options."""
    for name, value in {
        "PATH": "/evil",
        "LC_ALL": "de_DE.UTF-8",
        "POSIXLY_CORRECT": "1",
        "GLIBC_TUNABLES": "x",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("OPENSSL_CONF", "/etc/fips.cnf")
    assert running.environment() == {
        "LC_ALL": "C",
        "PATH": "/usr/bin:/bin:/usr/sbin:/sbin",
        "OPENSSL_CONF": "/etc/fips.cnf",
    }


def test_batch_is_not_believed_when_a_file_moves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that changes while its batch runs is read again by itself."""
    tools = [probe.examine(each) for each in fakes("bsd_sum", "%ssum", profiles.bsd_z)(tmp_path)]
    root = tmp_path / "root"
    root.mkdir()
    (root / "file").write_text("before")
    files = trees.list_files(root)
    ask = native._ask

    def asked(tool: Tool, paths: list[bytes], seconds: float, meter: FreeMeter) -> Records:
        records = ask(tool, paths, seconds, meter)
        (root / "file").write_text("after!")
        return records

    monkeypatch.setattr(native, "_ask", asked)
    result = hashed(NativeEngine(tools), root, files)[b"file"]
    assert isinstance(result, HashedFile)
    assert result == trees.expected_result(trees.list_files(root)[0], b"after!")
