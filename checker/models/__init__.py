"""Define the tables of checker: proofs, comparisons of runs and of replicas, and findings.

The docstring of each model names the module that writes its table. Imports the models of `scanner`; everything in
`checker` may import it.
"""

from checker.models.comparisons import Branch, Change, Comparison
from checker.models.divergences import Divergence, DivergenceBranch, GroupComparison, KnownDamage, Participant
from checker.models.findings import AuditEntry, Finding
from checker.models.proofs import Proof, ProofAttempt

__all__ = [
    "AuditEntry",
    "Branch",
    "Change",
    "Comparison",
    "Divergence",
    "DivergenceBranch",
    "Finding",
    "GroupComparison",
    "KnownDamage",
    "Participant",
    "Proof",
    "ProofAttempt",
]
