"""Decide whether a run is proven: signature, chain, journal and records rebuilt from the rows."""
