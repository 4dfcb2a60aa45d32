"""Test `run --local` and `verify`: report files in a directory, a chain of their own, checks of a file in words."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path

import pytest

from scanner.collector.commands import status, verify
from scanner.collector.commands.verify import Verification
from scanner.collector.delivery import identity
from scanner.collector.delivery.spool import read_envelope
from scanner.collector.errors import CollectorError, ConfigError
from scanner.collector.run import local
from scanner.collector.run.local import LocalTarget
from scanner.collector.run.session import RunOptions
from scanner.collector.run.summary import RunSummary
from scanner.collector.system import durable
from scanner.format.statement import Statement, read_statement
from tests.scanner.collector.installation import Installation


def run(
    installation: Installation,
    *,
    root: bytes | None = None,
    excludes: tuple[str, ...] = (),
    group: str | None = None,
    accept_root: bool = False,
) -> RunSummary:
    """Do one local run of the tree, or of `root`, into the directory `out`."""
    if root is None:
        root = bytes(installation.tree)
    target = LocalTarget(root, installation.directory / "out", excludes, group)
    options = RunOptions(workers=1, engine="hashlib", accept_root=accept_root)
    return local.run_local(installation.load_config(), options, target, print)


def statements(installation: Installation) -> list[Statement]:
    """Return the statements of all report files, by sequence."""
    paths = (installation.directory / "out").glob("*.jsonl.gz")
    unsorted_statements = [read_statement(read_envelope(path).payload) for path in paths]
    return sorted(unsorted_statements, key=lambda statement: statement.sequence)


def verify_file(installation: Installation, path: Path, key: str | None = None) -> Verification:
    """Return the checks of a report file, with the named key or the collector's own."""
    return verify.verify_report(path, verify.load_known_keys(installation.load_config(), key))


def test_chain_of_its_own(installation: Installation) -> None:
    """Each run of a root is a file of its own, numbered and chained, and all of them verify."""
    for _ in range(3):
        assert run(installation).exit_code == 0

    first, second, third = statements(installation)
    assert [first.sequence, second.sequence, third.sequence] == [1, 2, 3]
    assert first.replica == second.replica == third.replica

    paths = sorted((installation.directory / "out").iterdir())
    assert len(paths) == 3
    assert all(path.name.startswith("tree-2") for path in paths)
    digests = {read_envelope(path).digest for path in paths}
    assert {second.previous, third.previous} < digests
    assert all(verify_file(installation, path).exit_code == 0 for path in paths)


def test_another_root_is_another_replica(installation: Installation) -> None:
    """Another root has a chain of its own. Another group name is only another file name."""
    run(installation)
    run(installation, root=bytes(installation.tree / "sub"))
    run(installation, group="other/\n.")
    assert [statement.sequence for statement in statements(installation)] == [1, 1, 2]
    assert any(path.name.startswith("other__.-") for path in (installation.directory / "out").iterdir())


def test_allowed_roots_bound_local_runs(installation: Installation) -> None:
    """A root outside of `roots` is not read here either, and an empty ROOT is not the current directory."""
    installation.configure(roots=installation.directory / "elsewhere")
    assert run(installation).exit_code == 2
    assert "not among the roots" in str(statements(installation)[0].reason)
    with pytest.raises(ConfigError, match="empty"):
        run(installation, root=b"")


def test_planted_link_is_not_written_through(installation: Installation) -> None:
    """A link under the temporary name is replaced, and its target stays as it is."""
    victim = installation.directory / "victim"
    target = installation.directory / "file"
    victim.write_bytes(b"precious")
    target.with_name(target.name + durable.TEMPORARY_SUFFIX).symlink_to(victim)

    durable.write_file(target, b"new")

    assert victim.read_bytes() == b"precious"
    assert target.read_bytes() == b"new"
    assert not target.is_symlink()


def test_excludes(installation: Installation) -> None:
    """`--exclude` narrows what is read. A pattern that cannot be read, or would be a comment, is refused."""
    run(installation, excludes=("*.dat", "link"))
    assert statements(installation)[0].files == 2
    for pattern in ("[a", "#x", " x", ""):
        with pytest.raises(ConfigError):
            run(installation, excludes=(pattern,))


def empty_tree(installation: Installation) -> None:
    """Replace the tree by an empty directory."""
    shutil.rmtree(installation.tree)
    installation.tree.mkdir()


def test_guards_hold_here_too(installation: Installation) -> None:
    """A root that became empty makes a failed report until `--accept-root`."""
    run(installation)
    empty_tree(installation)
    assert run(installation).exit_code == 2
    assert run(installation, accept_root=True).exit_code == 0
    assert [statement.outcome for statement in statements(installation)] == ["complete", "failed", "complete"]


def test_state_lost_but_not_the_spool(installation: Installation) -> None:
    """Without the state the guards compare with the newest report."""
    run(installation)
    for path in (installation.state / "local").glob("*/state.db"):
        path.write_bytes(b"garbage" * 1000)
    empty_tree(installation)
    assert run(installation).exit_code == 2
    assert list((installation.state / "local").glob("*/state.db.damaged"))


def test_spool_lost(installation: Installation) -> None:
    """A chain whose end is lost is not continued by guess: another one begins."""
    run(installation)
    shutil.rmtree(installation.state / "local")
    run(installation)
    first, second = statements(installation)
    assert first.sequence == 1
    assert second.sequence == 1
    assert first.replica != second.replica

    for path in (installation.state / "local").glob("*/sent/*.gz"):
        path.write_bytes(b"rotten")
    assert run(installation).exit_code == 0
    assert len({statement.replica for statement in statements(installation)}) == 3


def test_copy_that_was_interrupted(installation: Installation) -> None:
    """A report whose copy failed stays queued, and the next run copies it first."""
    (installation.directory / "out").write_text("a file in the way")
    summary = run(installation)
    assert summary.exit_code == 2
    assert summary.replicas[0].finished_run is None

    (installation.directory / "out").unlink()
    run(installation)
    (envelope_path,) = (installation.state / "local").glob("*/sent/*.gz")
    (report_path,) = (installation.directory / "out").iterdir()
    shutil.copy(report_path, envelope_path.parent.parent / "queue" / envelope_path.name)
    assert run(installation).exit_code == 0
    assert [statement.sequence for statement in statements(installation)] == [1, 2]


def make_report(installation: Installation) -> Path:
    """Do one local run and return its report file."""
    run(installation)
    (path,) = (installation.directory / "out").iterdir()
    return path


def test_uncompressed(installation: Installation) -> None:
    """The same report as plain text verifies as well."""
    path = make_report(installation)
    plain_path = installation.directory / "plain.jsonl"
    plain_path.write_bytes(gzip.decompress(path.read_bytes()))
    assert verify_file(installation, plain_path).exit_code == 0


def test_unknown_key(installation: Installation) -> None:
    """Without the key the signature is not checked: exit code 2, and the keyid is named. The rest is checked."""
    path = make_report(installation)
    keyid = identity.load_key(installation.state, "key.pem").keyid
    shutil.rmtree(installation.state)

    verification = verify_file(installation, path)

    assert verification.exit_code == 2
    assert verification.failed == []
    assert keyid in verification.unchecked[0]
    assert any("SHA3-512" in text for text in verification.passed)


def test_named_key(installation: Installation) -> None:
    """A key is named by its digits, a file with them, or its private key's file. Another key has not signed."""
    path = make_report(installation)
    key = identity.load_key(installation.state, "key.pem")
    public_key_file = installation.directory / "public"
    public_key_file.write_text(key.public.hex() + "\n")
    for name in (key.public.hex(), key.public.hex().upper(), str(public_key_file), str(key.path)):
        assert verify_file(installation, path, name).exit_code == 0

    other_key = identity.make_key(installation.directory, "other.pem")
    verification = verify_file(installation, path, other_key.public.hex())
    assert verification.exit_code == 2
    assert "not known here" in verification.unchecked[0]

    (installation.directory / "bad").write_text("no key")
    for name in (str(installation.directory / "bad"), "01" + "00" * 31, "/does/not/exist"):
        with pytest.raises(CollectorError):
            verify_file(installation, path, name)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b'"size":1000', b'"size":1001', "SHA3-512 of the lines"),
        (b'"sha256":"', b'"sha256":"0', "line 4: "),
        (b'{"path":"fifo","special":"fifo"}\n', b"", "number of lines"),
        (b'{"path":"link"', b'{"path":"a"', "ascending order"),
        (b'"link":"sub/01.dat"', b'"link":"sub/02.dat"', "SHA3-512 of paths and contents"),
    ],
)
def test_tampered_lines(installation: Installation, old: bytes, new: bytes, message: str) -> None:
    """Any change below the envelope is found and named."""
    path = make_report(installation)
    content = gzip.decompress(path.read_bytes())
    assert old in content
    path.write_bytes(gzip.compress(content.replace(old, new, 1)))

    verification = verify_file(installation, path)

    assert verification.exit_code == 1
    assert any(message in text for text in verification.failed), verification.failed


def test_block_is_named(installation: Installation) -> None:
    """A changed line is located by its block."""
    path = make_report(installation)
    content = gzip.decompress(path.read_bytes())
    changed_content = content.replace(b'"link":"sub/01.dat"', b'"link":"sub/02.dat"')
    path.write_bytes(gzip.compress(changed_content))
    failed = verify_file(installation, path).failed
    assert any("block 2 of 16 is the first" in text for text in failed)


@pytest.mark.parametrize("position", [0, 1, 5, 100, 400, -30, -5, -1])
def test_cut_or_flipped_file(installation: Installation, position: int) -> None:
    """A file that is cut short or damaged anywhere is broken, and never a crash."""
    path = make_report(installation)
    content = path.read_bytes()
    cut_content = content[:position]
    flipped_content = content[:position] + bytes([content[position] ^ 0xFF]) + content[position:][1:]
    for damaged_content in (cut_content, flipped_content, b""):
        path.write_bytes(damaged_content)
        verification = verify_file(installation, path)
        is_harmless = differs_in_gzip_header_only(content, damaged_content)
        assert verification.exit_code == 1 or is_harmless, (position, verification)


def differs_in_gzip_header_only(content: bytes, damaged_content: bytes) -> bool:
    """Return whether only the gzip header differs, whose time, flags and system mean nothing."""
    return len(damaged_content) == len(content) and damaged_content[10:] == content[10:]


def test_other_signature(installation: Installation) -> None:
    """When a known key did not sign these bytes, nothing below is checked."""
    path = make_report(installation)
    content = gzip.decompress(path.read_bytes())
    position = content.index(b'"sig":"') + 7
    character = content[position : position + 1]
    other_character = b"B" if character != b"B" else b"C"
    path.write_bytes(gzip.compress(content[:position] + other_character + content[position + 1 :]))

    verification = verify_file(installation, path)

    assert verification.exit_code == 1
    assert "did not sign" in verification.failed[0]
    assert verification.statement is None


def test_status_of_local_runs_alone(installation: Installation) -> None:
    """A collector that is used without a central server needs no enrolment for a good status."""
    run(installation)
    assert status.collect_status(installation.load_config()).exit_code == 0
