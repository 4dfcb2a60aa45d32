"""Hold what checker knows: proofs, comparisons of runs and of replicas, and findings.

The docstring of each model names the module that writes its table.
"""

from checker.models.comparisons import Branch, Change, Comparison
from checker.models.divergences import Divergence, DivergenceBranch, GroupComparison, Participant
from checker.models.findings import AuditEntry, Finding
from checker.models.proofs import Proof

__all__ = [
    "AuditEntry",
    "Branch",
    "Change",
    "Comparison",
    "Divergence",
    "DivergenceBranch",
    "Finding",
    "GroupComparison",
    "Participant",
    "Proof",
]
