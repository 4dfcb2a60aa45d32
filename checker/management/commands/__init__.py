"""Commands of `manage.py` and `backup-syncer` on proofs, comparisons and duplicates, one module each."""
