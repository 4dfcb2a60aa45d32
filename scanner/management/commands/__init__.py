"""Commands of `manage.py` and `backup-syncer` that ingest, import and export runs, one module each."""
