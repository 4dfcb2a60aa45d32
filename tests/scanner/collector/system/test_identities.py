"""Test which identities mean one file system."""

from __future__ import annotations

import pytest

from scanner.collector.system.identities import agree


@pytest.mark.parametrize(
    ("ids", "other_ids", "is_same"),
    [
        (["uuid:1", "source:/dev/sda"], ["uuid:1", "source:/dev/sdb"], True),
        (["uuid:1", "source:/dev/sda"], ["uuid:2", "source:/dev/sda"], False),
        (["uuid:1", "fsid:7"], ["fsid:7"], True),
        (["uuid:1", "fsid:7"], ["uuid:2", "fsid:7"], True),
        (["uuid:1", "label:backup"], ["uuid:2", "label:backup"], False),
        (["superblock:a", "image:/x", "source:/dev/loop0"], ["superblock:b", "image:/x", "source:/dev/loop1"], True),
        (["device:serial", "source:/dev/sda"], ["device:serial", "source:/dev/sdb"], True),
        (["source:nas:/export"], ["source:nas:/export"], True),
        (["source:/dev/sda"], ["source:/dev/sdb"], False),
        (["uuid:1"], ["source:/dev/sda"], False),
        ([], [], True),
    ],
)
def test_agreement(ids: list[str], other_ids: list[str], is_same: bool) -> None:
    """The strongest kinds that both sides know decide, and one that agrees is enough."""
    assert agree(ids, other_ids) is is_same
    assert agree(other_ids, ids) is is_same
