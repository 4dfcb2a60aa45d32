"""Delivery: how do reports get from this server's disk to the central server?

`spool` keeps the reports of a replica on disk and in order, `chain` finds the place of the next one, `sender` uploads
what is queued through `client`, which speaks HTTPS and believes signed replies alone. `identity` holds key and
enrolment, and `enrol` makes the first contact with an `enrolment_token`. Statements and bodies come in, receipts come
back. `run` and `commands` import this directory.
"""
