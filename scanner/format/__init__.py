"""Write, read, sign and digest reports.

Runs on the servers as a part of the collector, and on the central server. In: entries and notes, keys, lines of bytes.
Out: the lines of a report, or what a report says once all of it has been checked. Whatever both sides must agree on is
here and nowhere else.

Standard library only (cryptography is optional), Python 3.9, no Django. Imports nothing else of the project; everybody
may import it.
"""
