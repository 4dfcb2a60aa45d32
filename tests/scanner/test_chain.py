"""The chain: which statement takes which place."""

from __future__ import annotations

import pytest

from scanner.models import Run
from tests.scanner import factories as make

pytestmark = pytest.mark.django_db


def test_first_report_is_received() -> None:
    """The first report of a replica becomes run 1, waiting for ingest."""
    replica = make.make_replica()
    signer = make.make_key(replica.server)
    run = make.accept(replica, signer, [make.file_row("a"), make.link_row("b", "a"), make.error_row("c")])
    assert (run.sequence, run.state) == (1, Run.State.RECEIVED)
