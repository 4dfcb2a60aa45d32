"""Commands of `manage.py` and `backup-syncer` that exist in a checkout alone, one module each."""
