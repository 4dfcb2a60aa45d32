"""Ask the operating system: file systems, processors, page cache, priority, locks, signals, files that survive a crash.

Everything that differs between Linux, macOS, the BSDs and SunOS is here. In: paths, descriptors, numbers. Out: plain
values, or an error of `scanner.collector.errors`. Any module of the collector may import this directory. It imports
nothing of the collector but its errors.
"""
