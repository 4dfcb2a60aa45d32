"""Load SQL statements from `sql/NAME.sql` files beside the modules that run them.

    statement = load_statements(__file__)

    FORGET = statement("forget")
    cursor.execute(FORGET, {"comparison": comparison.pk})

A file holds one whole statement, or several with semicolons between them, that can be pasted into psql. Values travel
as `%(name)s` parameters, so a literal percent sign is written `%%`, in comments, too. A condition that is not always
asked for is a parameter as well: `(%(kind)s::text IS NULL OR kind = %(kind)s)`. The driver writes values into the text,
so the planner folds such a condition away.

What many statements say of states and paths is an SQL function, made by migration 0007 of `scanner`:
`state_at(replica, sequence)`, `is_below(path, directory)`, `directory_of(path)`, `name_of(path)` and
`directory_at_depth(parts, depth)`. A call costs no more than its body.

Only what no parameter can carry is a part of the text: `{columns}` in a file is replaced by `columns="..."`. Parts are
SQL, never data.
"""

from __future__ import annotations

import re
from pathlib import Path

_PART = re.compile(r"\{([a-z_]+)\}")


class StatementError(LookupError):
    """No such statement, or its parts are not those that its text names."""


class Statements:
    """The statements of one `sql` folder. Call it with a name, and with the parts that the text names."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._texts = {path.stem: path.read_text(encoding="utf-8") for path in folder.glob("*.sql")}

    def __call__(self, name: str, **parts: str) -> str:
        """Return the text of `sql/NAME.sql` with its parts put in. Raise StatementError when they do not fit."""
        if name not in self._texts:
            raise StatementError(f"no statement {name} in {self._folder}")

        text = self._texts[name]
        expected = set(_PART.findall(text))
        if expected != parts.keys():
            raise StatementError(f"{name}.sql has the parts {sorted(expected)}, not {sorted(parts)}")
        return _PART.sub(lambda match: parts[match[1]], text)


def load_statements(module_file: str) -> Statements:
    """Return the statements of the folder `sql` beside a module, which passes its `__file__`."""
    return Statements(Path(module_file).parent / "sql")
