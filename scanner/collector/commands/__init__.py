"""The commands of the collector, one module each: what are its arguments, and what does it do?

Each module has `add_parser`, which describes the command to argparse, and a function that takes the parsed options and
returns an exit code. Only `scanner.collector.cli` imports them.
"""
