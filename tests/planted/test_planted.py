"""Damage, honest change and everything between, planted in a real tree: each path gets the verdict that it must."""

from __future__ import annotations

from pathlib import Path

import pytest

from checker.models import Finding
from tests.disk_image import why_no_image
from tests.planted.suite import Matrix, base_image, grow, table

SEEDS = 2


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tree before anything is done to it."""
    if why_no_image():
        pytest.skip(why_no_image())
    return base_image(tmp_path_factory.mktemp("base"))


@pytest.mark.django_db(transaction=True)
def test_every_verdict_is_the_tables(tmp_path: Path, base: Path, request: pytest.FixtureRequest) -> None:
    """The confusion matrix has its diagonal alone; `--seeds N` plants more."""
    matrix = Matrix()
    for seed in range(request.config.getoption("--seeds") or SEEDS):
        matrix += grow(tmp_path / str(seed), base, seed)
    print(table(matrix))
    wrong = {pair: number for pair, number in matrix.items() if pair[0] != pair[1]}
    assert not wrong, f"\n{table(matrix)}"
    kinds = {pair[0].removeprefix("-") for pair in matrix}
    assert {"corrupted", "rewritten", "reverted", "unknown", "unreadable", "readable", "out_of_scope"} <= kinds
    assert len(kinds) == 13, kinds
    corrupted = Finding.objects.filter(kind=Finding.Kind.CORRUPTED)
    assert corrupted.count() == matrix["corrupted", "corrupted"]
    assert not corrupted.exclude(state=Finding.State.RESOLVED).exists(), "what was restored is resolved by proof"
