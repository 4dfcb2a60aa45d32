"""The log's view of refusals: what a client did wrong is no fault of this server, and has no traceback."""

from __future__ import annotations

import logging


class BriefRefusals(logging.Filter):
    """Takes the traceback from records about answers of 400 to 499; lets every record through."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Always true."""
        if 400 <= getattr(record, "status_code", 0) < 500:
            record.exc_info = record.exc_text = None
        return True
