"""The engines that compute digests; `choice` says which one does the work."""

from __future__ import annotations
