"""Rot beneath a rename, which a sync with deletion then carries to every copy, with real collectors on real trees."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from django.utils import timezone

from checker.models import Change, Comparison, Finding
from checker.pages import overview
from checker.pages.status import Status
from tests.disk_image import DiskImage, why_no_image
from tests.planted.fleet import Fleet

pytestmark = pytest.mark.django_db(transaction=True)
OLD = 1_600_000_000 * 10**9 + 1


def test_rot_under_a_renamed_directory(tmp_path: Path) -> None:
    """Three mirrors; on one a directory is renamed and a file in it rots; that one is copied over the others.

    The rot is found where it began, with both names. It stays damage when no other content is left anywhere.
    """
    if why_no_image():
        pytest.skip(why_no_image())
    with DiskImage(tmp_path, 16) as image:
        roots = [image.mount_point / "data", tmp_path / "second", tmp_path / "third"]
        for root in roots:
            for number in range(5):
                path = root / "before" / f"{number}"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(b"content %d" % number * 500)
                os.utime(path, ns=(OLD, OLD))
        image.age_files()
        fleet = Fleet(tmp_path, roots)
        assert fleet.night() == {}

        (roots[0] / "before").rename(roots[0] / "after")
        image.flip_bit(roots[0] / "after" / "3")
        run = fleet.run(0)
        change = Change.objects.get(comparison_id=Comparison.objects.get(run=run).pk, path="after/3")
        assert (change.kind, change.other) == ("corrupted", "before/3")
        damage = Finding.objects.get(kind=Finding.Kind.CORRUPTED)
        assert damage.path == "after/3"

        for root in roots[1:]:
            shutil.rmtree(root / "before")
            shutil.copytree(roots[0] / "after", root / "after")
        assert fleet.night() == {}

        damage.refresh_from_db()
        assert damage.state == Finding.State.OPEN
        statuses = {
            row.replica.server_id: row.assessment.status
            for section in overview.read_overview(timezone.now()).sections
            for row in section.rows
        }
        assert Status.PROVEN not in statuses.values(), statuses
        assert statuses[fleet.roads[0].replica.server_id] == Status.DAMAGED
