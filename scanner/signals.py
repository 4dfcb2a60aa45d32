"""Announce what happens to runs, for tasks and for the checker."""

from __future__ import annotations

from django.dispatch import Signal

run_received = Signal()
"""A run has its place in the chain and in the journal. `run`: the Run; only state `received` is work for ingest."""

key_compromised = Signal()
"""Runs are not believed any more. `key`: the ServerKey, `compromised_since` set. Sent within the transaction."""

run_ingested = Signal()
"""A run's entries are in the history. `run`: the Run."""
