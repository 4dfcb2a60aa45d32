"""Filter log records: a client's mistake is not a fault of this server and needs no traceback."""

from __future__ import annotations

import logging


class BriefRefusals(logging.Filter):
    """Remove the traceback from records about answers of 400 to 499. Every record passes."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Return True always, after removing the traceback of a refusal."""
        status_code = getattr(record, "status_code", 0)
        if 400 <= status_code < 500:
            record.exc_info = None
            record.exc_text = None
        return True
