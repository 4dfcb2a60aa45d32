"""Commands that the launcher, the quick start and developers use, one module each."""
