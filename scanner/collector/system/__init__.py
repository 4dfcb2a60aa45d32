"""Ask the operating system: file systems, mounts, processors, page cache, locks, signals and durable files."""
