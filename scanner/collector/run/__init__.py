"""Run one replica: check its root, walk it, hash its files, confirm surprises and write the report into the spool."""
