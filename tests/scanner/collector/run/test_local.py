"""`run --local` and `verify`: reports in a folder, a chain of their own, and what holds of a file in words."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path

import pytest

from scanner.collector import config
from scanner.collector.commands import status, verify
from scanner.collector.delivery import identity
from scanner.collector.delivery.spool import read_envelope
from scanner.collector.errors import CollectorError, ConfigError
from scanner.collector.run import local
from scanner.collector.run.local import LocalTarget
from scanner.collector.run.session import RunOptions
from scanner.collector.run.summary import RunSummary
from scanner.collector.system import durable
from scanner.format.atomic_file import temporary_path
from scanner.format.statement import Statement, read_statement
from tests.scanner.collector.installation import Installation


def run(installation: Installation, **more: object) -> RunSummary:
    """One local run into the folder `out`."""
    accept = bool(more.pop("accept_root", False))
    place = LocalTarget(bytes(installation.tree), installation.folder / "out")._replace(**more)  # type: ignore[arg-type]  # as the test says
    return local.run_local(
        config.load_config(installation.conf), RunOptions(workers=1, engine="hashlib", accept_root=accept), place, print
    )


def statements(installation: Installation) -> list[Statement]:
    """The statements of all report files, by sequence."""
    found = [read_statement(read_envelope(path).payload) for path in (installation.folder / "out").glob("*.jsonl.gz")]
    return sorted(found, key=lambda statement: statement.sequence)


def verdict(installation: Installation, path: Path, key: str | None = None) -> verify.Verification:
    """What `verify` says of a file."""
    return verify.verify_report(path, verify.load_known_keys(config.load_config(installation.conf), key))


def test_chain_of_its_own(installation: Installation) -> None:
    """Each run of a root is a file, numbered and chained, by the identity that the first one makes; all verify."""
    for _ in range(3):
        assert run(installation).exit_code == 0
    found = statements(installation)
    assert [statement.sequence for statement in found] == [1, 2, 3]
    assert len({statement.replica for statement in found}) == 1
    files = sorted((installation.folder / "out").iterdir())
    assert len(files) == 3 and all(path.name.startswith("tree-2") for path in files)
    envelopes = {envelope.digest for envelope in map(read_envelope, files)}
    assert {found[1].previous, found[2].previous} < envelopes
    assert all(verdict(installation, path).exit_code == 0 for path in files)


def test_another_root_is_another_replica(installation: Installation) -> None:
    """Another root has a chain of its own; another group name is but another file name, and the guards hold."""
    run(installation)
    run(installation, root=bytes(installation.tree / "sub"))
    run(installation, group="other/\n.")
    assert [statement.sequence for statement in statements(installation)] == [1, 1, 2]
    assert any(path.name.startswith("other__.-") for path in (installation.folder / "out").iterdir())


def test_allowed_roots_bound_local_runs(installation: Installation) -> None:
    """What lies outside of `roots` is not read here either; an empty ROOT is not the current directory."""
    installation.configure(roots=installation.folder / "elsewhere")
    assert run(installation).exit_code == 2
    assert "not among the roots" in str(statements(installation)[0].reason)
    with pytest.raises(ConfigError, match="empty"):
        run(installation, root=b"")


def test_planted_link_is_not_written_through(installation: Installation) -> None:
    """A link that waits under the temporary name is replaced, and what it points to stays as it is."""
    victim, target = installation.folder / "victim", installation.folder / "file"
    victim.write_bytes(b"precious")
    temporary_path(target).symlink_to(victim)
    durable.write(target, b"new")
    assert (victim.read_bytes(), target.read_bytes()) == (b"precious", b"new")
    assert not target.is_symlink()


def test_excludes(installation: Installation) -> None:
    """--exclude narrows what is read; a pattern that cannot be read, or would be a comment, is refused."""
    run(installation, excludes=("*.dat", "link"))
    assert statements(installation)[0].files == 2
    for pattern in ("[a", "#x", " x", ""):
        with pytest.raises(ConfigError):
            run(installation, excludes=(pattern,))


def test_guards_hold_here_too(installation: Installation) -> None:
    """An emptied root makes a failed report until --accept-root."""
    run(installation)
    shutil.rmtree(installation.tree)
    installation.tree.mkdir()
    assert run(installation).exit_code == 2
    assert run(installation, accept_root=True).exit_code == 0
    assert [statement.outcome for statement in statements(installation)] == ["complete", "failed", "complete"]


def test_state_lost_but_not_the_spool(installation: Installation) -> None:
    """The guards hold by the newest report where the state is lost."""
    run(installation)
    for path in (installation.state / "local").glob("*/state.db"):
        path.write_bytes(b"garbage" * 1000)
    shutil.rmtree(installation.tree)
    installation.tree.mkdir()
    assert run(installation).exit_code == 2
    assert list((installation.state / "local").glob("*/state.db.damaged"))


def test_spool_lost(installation: Installation) -> None:
    """A chain whose end is lost is not continued by guess: another one begins."""
    run(installation)
    shutil.rmtree(installation.state / "local")
    run(installation)
    first, second = statements(installation)
    assert first.sequence == second.sequence == 1 and first.replica != second.replica
    for path in (installation.state / "local").glob("*/sent/*.gz"):
        path.write_bytes(b"rotten")
    assert run(installation).exit_code == 0
    assert len({statement.replica for statement in statements(installation)}) == 3


def test_copy_that_was_interrupted(installation: Installation) -> None:
    """A report whose copy failed stays queued, and the next run brings it first."""
    (installation.folder / "out").write_text("a file in the way")
    summary = run(installation)
    assert summary.exit_code == 2 and summary.replicas[0].finished_run is None
    (installation.folder / "out").unlink()
    run(installation)
    (queued,) = (installation.state / "local").glob("*/sent/*.gz")
    (report,) = (installation.folder / "out").iterdir()
    shutil.copy(report, queued.parent.parent / "queue" / queued.name)
    assert run(installation).exit_code == 0
    assert [statement.sequence for statement in statements(installation)] == [1, 2]


def one_report(installation: Installation) -> Path:
    """The file of one local run."""
    run(installation)
    (path,) = (installation.folder / "out").iterdir()
    return path


def test_uncompressed(installation: Installation) -> None:
    """The same report as plain text verifies as well."""
    path = one_report(installation)
    plain = installation.folder / "plain.jsonl"
    plain.write_bytes(gzip.decompress(path.read_bytes()))
    assert verdict(installation, plain).exit_code == 0


def test_unknown_key(installation: Installation) -> None:
    """Without the key nothing is claimed of the signature: exit code 2, and the key's name is said."""
    path = one_report(installation)
    keyid = identity.load_key(installation.state, "key.pem").keyid
    shutil.rmtree(installation.state)
    found = verdict(installation, path)
    assert found.exit_code == 2 and found.failed == [] and keyid in found.unchecked[0]
    assert any("SHA3-512" in text for text in found.passed)


def test_named_key(installation: Installation) -> None:
    """The key may be named as digits, as a file with digits, as a private key's file; another one did not sign."""
    path = one_report(installation)
    key = identity.load_key(installation.state, "key.pem")
    (installation.folder / "public").write_text(key.public.hex() + "\n")
    for named in (key.public.hex(), key.public.hex().upper(), str(installation.folder / "public"), str(key.path)):
        assert verdict(installation, path, named).exit_code == 0
    other = identity.make_key(installation.folder, "other.pem")
    found = verdict(installation, path, other.public.hex())
    assert found.exit_code == 2 and "not known here" in found.unchecked[0]
    (installation.folder / "bad").write_text("no key")
    for named in (str(installation.folder / "bad"), "01" + "00" * 31, "/does/not/exist"):
        with pytest.raises(CollectorError):
            verdict(installation, path, named)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (b'"size":1000', b'"size":1001', "SHA3-512 of the lines"),
        (b'"sha256":"', b'"sha256":"0', "line 4: "),
        (b'{"path":"fifo","special":"fifo"}\n', b"", "number of lines"),
        (b'{"path":"link"', b'{"path":"a"', "ascending order"),
        (b'"link":"sub/01.dat"', b'"link":"sub/02.dat"', "SHA3-512 of paths and contents"),
    ],
)
def test_tampered_lines(installation: Installation, old: bytes, new: bytes, words: str) -> None:
    """Whatever is changed below the envelope is found and named."""
    path = one_report(installation)
    content = gzip.decompress(path.read_bytes())
    assert old in content
    path.write_bytes(gzip.compress(content.replace(old, new, 1)))
    found = verdict(installation, path)
    assert found.exit_code == 1 and any(words in text for text in found.failed), found.failed


def test_block_is_named(installation: Installation) -> None:
    """A changed line is located by its block."""
    path = one_report(installation)
    content = gzip.decompress(path.read_bytes()).replace(b'"link":"sub/01.dat"', b'"link":"sub/02.dat"')
    path.write_bytes(gzip.compress(content))
    assert any("block 2 of 16 is the first" in text for text in verdict(installation, path).failed)


@pytest.mark.parametrize("at", [0, 1, 5, 100, 400, -30, -5, -1])
def test_cut_or_flipped_file(installation: Installation, at: int) -> None:
    """A file that is cut short or damaged anywhere is broken, never a crash."""
    path = one_report(installation)
    content = path.read_bytes()
    for damaged in (content[:at], content[:at] + bytes([content[at] ^ 0xFF]) + content[at:][1:], b""):
        path.write_bytes(damaged)
        found = verdict(installation, path)
        assert found.exit_code == 1 or gzip_header_only(content, damaged), (at, found)


def gzip_header_only(content: bytes, damaged: bytes) -> bool:
    """Whether only bytes of the gzip header differ that mean nothing: time, flags of speed, system."""
    return len(damaged) == len(content) and damaged[10:] == content[10:]


def test_other_signature(installation: Installation) -> None:
    """A known key that did not sign these bytes ends the check: nothing below is worth reading."""
    path = one_report(installation)
    content = gzip.decompress(path.read_bytes())
    sig = content.index(b'"sig":"') + 7
    changed = b"B" if content[sig : sig + 1] != b"B" else b"C"
    path.write_bytes(gzip.compress(content[:sig] + changed + content[sig + 1 :]))
    found = verdict(installation, path)
    assert found.exit_code == 1 and "did not sign" in found.failed[0] and found.statement is None


def test_status_of_local_runs_alone(installation: Installation) -> None:
    """A collector that never needed a central server is healthy without an enrolment."""
    run(installation)
    assert status.collect_status(config.load_config(installation.conf)).exit_code == 0
