"""Take one directory through the whole system on one machine, from nothing to a proven run."""
