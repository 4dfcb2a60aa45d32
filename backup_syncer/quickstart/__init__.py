"""Take one directory through the whole system on one machine, from nothing to a proven run.

In comes a directory, or none, and then a sample is made; out comes an exit code that says whether its run was proven.
`options` needs nothing installed, since `deploy/quickstart.py` reads them before it installs anything. Imports the
launcher and `scanner`.
"""
