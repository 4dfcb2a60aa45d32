"""Fill a fresh database with a believable fleet, so that every page has something to show.

The servers do not exist, and no file is read: their trees are made up. All else is real. Each server enrols with a key
of its own, signs its reports, and the reports go through acceptance, ingest, comparison and verification.
"""
