"""Which divergences a finding is made of, as the SQL of findings asks for them."""

from __future__ import annotations

from typing import Any, NamedTuple

from checker.divergences.queries import STORED_TABLE
from checker.models import Divergence

SOURCE = "FROM {} AS change LEFT JOIN scanner_version AS new ON false WHERE {}"
UNTOLD = """change.comparison_id = %(comparison)s AND change.kind = %(kind)s AND change.verdict {} 'damaged'
    AND change.current AND change.finding_id IS NULL"""


class Pick(NamedTuple):
    """Divergences of a comparison, of one kind, that no finding tells: those with a damaged copy, or all others."""

    comparison: int
    kind: Divergence.Kind
    verdict: str = ""
    table: str = STORED_TABLE
    condition: str = ""
    weight: str = "sum(coalesce(change.number, 1))"

    @property
    def source(self) -> str:
        """SQL, in which a divergence is `change`."""
        return SOURCE.format(self.table, self.untold)

    @property
    def untold(self) -> str:
        """The condition alone."""
        return UNTOLD.format("=" if self.verdict == Divergence.PathVerdict.DAMAGED else "<>")

    def parameters(self) -> dict[str, Any]:
        """For SQL."""
        return {"comparison": self.comparison, "kind": self.kind.value}
