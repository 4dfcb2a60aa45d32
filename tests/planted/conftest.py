"""Make the trees in which changes are planted."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.disk_image import why_no_image
from tests.planted.fleet import FILES, MEGABYTES
from tests.planted.suite import base_image


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An image of some hundred files, with which all replicas of a group begin."""
    if why_no_image():
        pytest.skip(why_no_image())
    return base_image(tmp_path_factory.mktemp("small"), FILES, MEGABYTES)
