"""Commands of the collector that only look: `status` and `verify`."""
