"""The test vectors of the report format: every reader reaches the verdict that the documentation gives."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from scanner.collector.commands import verify
from scanner.errors import Refusal
from scanner.format.statement import Statement
from scanner.models import Replica, Run
from tests.scanner import factories as make
from tests.scanner.factories import Signer
from tests.scanner.format import vectors
from tests.scanner.format.statements import make_statement
from tests.scanner.standalone import look

INDEX: dict[str, Any] = json.loads((vectors.DIRECTORY / "vectors.json").read_bytes())
REPORTS: dict[str, dict[str, str]] = {report["file"]: report for report in INDEX["reports"]}


def test_the_files_are_what_the_program_makes() -> None:
    """The stored vectors are those that `python -m tests.scanner.format.vectors` writes, and no others are there."""
    made = vectors.make_vectors()
    stored = {path.name: path.read_bytes() for path in vectors.DIRECTORY.iterdir()}
    assert stored == {vector.file_name: vector.data for vector in made} | {"vectors.json": vectors.index(made)}
    assert {report["verdict"] for report in REPORTS.values()} == {vectors.HOLDS, vectors.REFUSED}


@pytest.mark.parametrize("name", REPORTS)
def test_the_collector_and_the_standalone_verifier(name: str) -> None:
    """Both programs that check a file agree with the verdict."""
    path = vectors.DIRECTORY / name
    holds = REPORTS[name]["verdict"] == vectors.HOLDS
    key = verify.KnownKey(vectors.PUBLIC_KEY, "the key of the vectors")
    assert (verify.verify_report(path, {vectors.KEYID: key}).exit_code == 0) is holds

    code, output = look(path, vectors.PUBLIC_KEY)
    assert (code == 0) is holds, output


def central_replica() -> Replica:
    """Return the replica of the vectors, whose server has their key."""
    statement: Statement = make_statement()
    server = make.make_server(uuid=statement.server)
    make.make_key(server, Signer(vectors.PRIVATE_KEY, vectors.PUBLIC_KEY))
    group = make.make_group(uuid=statement.group)
    return make.make_replica(server, group, root=statement.root, uuid=statement.replica)


@pytest.mark.django_db
@pytest.mark.parametrize("name", REPORTS)
def test_the_central_server(name: str) -> None:
    """The central server accepts what holds, after the report before it, and has no complete run of anything else."""
    replica = central_replica()
    if before := REPORTS[name].get("after"):
        make.receive(replica.server, read(vectors.DIRECTORY / before))

    data = read(vectors.DIRECTORY / name)
    if REPORTS[name]["verdict"] == vectors.HOLDS:
        state = make.receive(replica.server, data).run.state
        assert state == (Run.State.FAILED if name == "good-failed.jsonl" else Run.State.RECEIVED)
        return
    with pytest.raises(Refusal):
        make.receive(replica.server, data)
    assert not replica.runs.exclude(state=Run.State.REFUSED).exists()


def read(path: Path) -> bytes:
    """Return a report as it is uploaded."""
    return gzip.compress(path.read_bytes(), mtime=0)
