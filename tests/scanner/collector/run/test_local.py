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
from scanner.format.statement import Statement, read_statement
from tests.scanner.collector.stage import Stage


def run(stage: Stage, **more: object) -> RunSummary:
    """One local run into the folder `out`."""
    accept = bool(more.pop("accept_root", False))
    place = LocalTarget(bytes(stage.tree), stage.folder / "out")._replace(**more)  # type: ignore[arg-type]  # as the test says
    return local.run_local(
        config.load_config(stage.conf), RunOptions(workers=1, engine="hashlib", accept_root=accept), place, print
    )


def statements(stage: Stage) -> list[Statement]:
    """The statements of all report files, by sequence."""
    found = [read_statement(read_envelope(path).payload) for path in (stage.folder / "out").glob("*.jsonl.gz")]
    return sorted(found, key=lambda statement: statement.sequence)


def verdict(stage: Stage, path: Path, key: str | None = None) -> verify.Verification:
    """What `verify` says of a file."""
    return verify.verify_report(path, verify.load_known_keys(config.load_config(stage.conf), key))


def test_chain_of_its_own(stage: Stage) -> None:
    """Each run of a root is a file, numbered and chained, by the identity that the first one makes; all verify."""
    for _ in range(3):
        assert run(stage).exit_code == 0
    found = statements(stage)
    assert [statement.sequence for statement in found] == [1, 2, 3]
    assert len({statement.replica for statement in found}) == 1
    files = sorted((stage.folder / "out").iterdir())
    assert len(files) == 3 and all(path.name.startswith("tree-2") for path in files)
    envelopes = {envelope.digest for envelope in map(read_envelope, files)}
    assert {found[1].previous, found[2].previous} < envelopes
    assert all(verdict(stage, path).exit_code == 0 for path in files)


def test_another_root_is_another_replica(stage: Stage) -> None:
    """Another root has a chain of its own; another group name is but another file name, and the guards hold."""
    run(stage)
    run(stage, root=bytes(stage.tree / "sub"))
    run(stage, group="other/\n.")
    assert [statement.sequence for statement in statements(stage)] == [1, 1, 2]
    assert any(path.name.startswith("other__.-") for path in (stage.folder / "out").iterdir())


def test_allowed_roots_bound_local_runs(stage: Stage) -> None:
    """What lies outside of `roots` is not read here either; an empty ROOT is not the current directory."""
    stage.configure(roots=stage.folder / "elsewhere")
    assert run(stage).exit_code == 2
    assert "not among the roots" in str(statements(stage)[0].reason)
    with pytest.raises(ConfigError, match="empty"):
        run(stage, root=b"")


def test_planted_link_is_not_written_through(stage: Stage) -> None:
    """A link that waits under the temporary name is replaced, and what it points to stays as it is."""
    victim, target = stage.folder / "victim", stage.folder / "file"
    victim.write_bytes(b"precious")
    target.with_name(target.name + durable.TEMPORARY).symlink_to(victim)
    durable.write(target, b"new")
    assert (victim.read_bytes(), target.read_bytes()) == (b"precious", b"new")
    assert not target.is_symlink()


def test_excludes(stage: Stage) -> None:
    """--exclude narrows what is read; a pattern that cannot be read, or would be a comment, is refused."""
    run(stage, excludes=("*.dat", "link"))
    assert statements(stage)[0].files == 2
    for pattern in ("[a", "#x", " x", ""):
        with pytest.raises(ConfigError):
            run(stage, excludes=(pattern,))


def test_guards_hold_here_too(stage: Stage) -> None:
    """An emptied root makes a failed report until --accept-root."""
    run(stage)
    shutil.rmtree(stage.tree)
    stage.tree.mkdir()
    assert run(stage).exit_code == 2
    assert run(stage, accept_root=True).exit_code == 0
    assert [statement.outcome for statement in statements(stage)] == ["complete", "failed", "complete"]


def test_state_lost_but_not_the_spool(stage: Stage) -> None:
    """The guards hold by the newest report where the state is lost."""
    run(stage)
    for path in (stage.state / "local").glob("*/state.db"):
        path.write_bytes(b"garbage" * 1000)
    shutil.rmtree(stage.tree)
    stage.tree.mkdir()
    assert run(stage).exit_code == 2
    assert list((stage.state / "local").glob("*/state.db.damaged"))


def test_spool_lost(stage: Stage) -> None:
    """A chain whose end is lost is not continued by guess: another one begins."""
    run(stage)
    shutil.rmtree(stage.state / "local")
    run(stage)
    first, second = statements(stage)
    assert first.sequence == second.sequence == 1 and first.replica != second.replica
    for path in (stage.state / "local").glob("*/sent/*.gz"):
        path.write_bytes(b"rotten")
    assert run(stage).exit_code == 0
    assert len({statement.replica for statement in statements(stage)}) == 3


def test_copy_that_was_interrupted(stage: Stage) -> None:
    """A report whose copy failed stays queued, and the next run brings it first."""
    (stage.folder / "out").write_text("a file in the way")
    summary = run(stage)
    assert summary.exit_code == 2 and summary.replicas[0].finished_run is None
    (stage.folder / "out").unlink()
    run(stage)
    (queued,) = (stage.state / "local").glob("*/sent/*.gz")
    (report,) = (stage.folder / "out").iterdir()
    shutil.copy(report, queued.parent.parent / "queue" / queued.name)
    assert run(stage).exit_code == 0
    assert [statement.sequence for statement in statements(stage)] == [1, 2]


def one_report(stage: Stage) -> Path:
    """The file of one local run."""
    run(stage)
    (path,) = (stage.folder / "out").iterdir()
    return path


def test_uncompressed(stage: Stage) -> None:
    """The same report as plain text verifies as well."""
    path = one_report(stage)
    plain = stage.folder / "plain.jsonl"
    plain.write_bytes(gzip.decompress(path.read_bytes()))
    assert verdict(stage, plain).exit_code == 0


def test_unknown_key(stage: Stage) -> None:
    """Without the key nothing is claimed of the signature: exit code 2, and the key's name is said."""
    path = one_report(stage)
    keyid = identity.load_key(stage.state, "key.pem").keyid
    shutil.rmtree(stage.state)
    found = verdict(stage, path)
    assert found.exit_code == 2 and found.failed == [] and keyid in found.unchecked[0]
    assert any("SHA3-512" in text for text in found.passed)


def test_named_key(stage: Stage) -> None:
    """The key may be named as digits, as a file with digits, as a private key's file; another one did not sign."""
    path = one_report(stage)
    key = identity.load_key(stage.state, "key.pem")
    (stage.folder / "public").write_text(key.public.hex() + "\n")
    for named in (key.public.hex(), key.public.hex().upper(), str(stage.folder / "public"), str(key.path)):
        assert verdict(stage, path, named).exit_code == 0
    other = identity.make_key(stage.folder, "other.pem")
    found = verdict(stage, path, other.public.hex())
    assert found.exit_code == 2 and "not known here" in found.unchecked[0]
    (stage.folder / "bad").write_text("no key")
    for named in (str(stage.folder / "bad"), "01" + "00" * 31, "/does/not/exist"):
        with pytest.raises(CollectorError):
            verdict(stage, path, named)


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
def test_tampered_lines(stage: Stage, old: bytes, new: bytes, words: str) -> None:
    """Whatever is changed below the envelope is found and named."""
    path = one_report(stage)
    content = gzip.decompress(path.read_bytes())
    assert old in content
    path.write_bytes(gzip.compress(content.replace(old, new, 1)))
    found = verdict(stage, path)
    assert found.exit_code == 1 and any(words in text for text in found.failed), found.failed


def test_block_is_named(stage: Stage) -> None:
    """A changed line is located by its block."""
    path = one_report(stage)
    content = gzip.decompress(path.read_bytes()).replace(b'"link":"sub/01.dat"', b'"link":"sub/02.dat"')
    path.write_bytes(gzip.compress(content))
    assert any("block 2 of 16 is the first" in text for text in verdict(stage, path).failed)


@pytest.mark.parametrize("at", [0, 1, 5, 100, 400, -30, -5, -1])
def test_cut_or_flipped_file(stage: Stage, at: int) -> None:
    """A file that is cut short or damaged anywhere is broken, never a crash."""
    path = one_report(stage)
    content = path.read_bytes()
    for damaged in (content[:at], content[:at] + bytes([content[at] ^ 0xFF]) + content[at:][1:], b""):
        path.write_bytes(damaged)
        found = verdict(stage, path)
        assert found.exit_code == 1 or gzip_header_only(content, damaged), (at, found)


def gzip_header_only(content: bytes, damaged: bytes) -> bool:
    """Whether only bytes of the gzip header differ that mean nothing: time, flags of speed, system."""
    return len(damaged) == len(content) and damaged[10:] == content[10:]


def test_other_signature(stage: Stage) -> None:
    """A known key that did not sign these bytes ends the check: nothing below is worth reading."""
    path = one_report(stage)
    content = gzip.decompress(path.read_bytes())
    sig = content.index(b'"sig":"') + 7
    changed = b"B" if content[sig : sig + 1] != b"B" else b"C"
    path.write_bytes(gzip.compress(content[:sig] + changed + content[sig + 1 :]))
    found = verdict(stage, path)
    assert found.exit_code == 1 and "did not sign" in found.failed[0] and found.statement is None


def test_status_of_local_runs_alone(stage: Stage) -> None:
    """A collector that never needed a central server is healthy without an enrolment."""
    run(stage)
    assert status.collect_status(config.load_config(stage.conf)).exit_code == 0
