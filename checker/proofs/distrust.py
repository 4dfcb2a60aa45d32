"""Say which runs are not believed because the key that signed them may be in the wrong hands."""

from __future__ import annotations

from django.db.models import F, Q


def is_distrusted(run: str = "") -> Q:
    """Return the condition of a run whose key was compromised when it was received. `run` is a prefix (`run__`)."""
    return Q(**{f"{run}key__compromised_since__lte": F(f"{run}received_at")})
