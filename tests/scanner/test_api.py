"""The API over HTTP: who may call, what is answered, in which shape."""

from __future__ import annotations

import pytest

from tests.scanner import factories as make

pytestmark = pytest.mark.django_db


def test_upload_is_received() -> None:
    """A report is answered 201, and 200 when it comes again."""
    replica = make.make_replica()
    signer = make.make_key(replica.server)
    bearer = make.make_bearer(replica.server)
    report = make.make_report(replica, signer, [make.file_row("a")])
    first = make.upload(bearer, report.gzip)
    assert first.status_code == 201, first.content
    assert make.upload(bearer, report.gzip).status_code == 200
