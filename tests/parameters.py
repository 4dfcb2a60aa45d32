"""Spread the parameters of a test over the usual suite and the long one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest


def usual_first(values: Iterable[Any], usual: int = 1) -> list[Any]:
    """Return the values as parameters, of which all but the first `usual` ones are tried with --long alone.

    A value may be a tuple of several arguments.
    """
    parameters = []
    for index, value in enumerate(values):
        arguments = value if isinstance(value, tuple) else (value,)
        marks = [] if index < usual else [pytest.mark.long]
        parameters.append(pytest.param(*arguments, marks=marks))
    return parameters
