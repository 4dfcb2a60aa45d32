"""Share the SQL tools that more than one folder needs: keyset paging, locks, attempts, errors, binary COPY."""
