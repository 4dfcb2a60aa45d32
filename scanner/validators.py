"""Validate what an operator enters: excludes in their grammar, roots in their coded form."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from scanner.format import paths
from scanner.format.errors import ExcludeError, PathError
from scanner.format.excludes import parse_excludes
from scanner.formatting.reasons import reason_text


def validate_excludes(text: str) -> None:
    """Raise ValidationError that names the first pattern outside the grammar."""
    try:
        parse_excludes(text)
    except ExcludeError as error:
        raise ValidationError(reason_text(str(error))) from error


def validate_root(text: str) -> None:
    """Raise ValidationError unless `text` is the coded form of an absolute path without `.`, `..` and empty parts."""
    if text == "/":
        return
    try:
        if not text.startswith("/"):
            raise PathError(text)
        paths.check(text[1:])
    except PathError as error:
        advice = _("Enter an absolute path such as /srv/photos, without / at the end; write a backslash twice.")
        raise ValidationError(advice) from error
