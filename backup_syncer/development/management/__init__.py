"""Hold the commands that only a checkout has, one module each; nothing imports commands."""
