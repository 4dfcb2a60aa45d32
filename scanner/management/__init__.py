"""Hold the commands of `scanner`. A command parses its options and calls one function; nothing imports commands."""
