"""Hold the commands of `backup_syncer`, one module each. A command parses its options; nothing imports commands."""
