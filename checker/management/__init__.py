"""Hold the commands of `checker`, and in `base.py` the form that they share.

A command parses its options, calls one function and answers with its exit code.
"""
