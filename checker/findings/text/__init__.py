"""Words of findings that several kinds share: sentences in the language of the reader, made of stored evidence.

Each module speaks of one concern: runs, contents, notes, mass changes, replicas, next steps. Nothing is claimed beyond
what the evidence proves. Names of files are plain text in which odd characters are made visible.
"""
