"""SQL functions for what many statements say of states and paths.

The planner puts the body of each in the place of its call, so that a call costs what its body costs, and the indexes on
`left(path, 512)` serve it. That is why none is STRICT, and why none is declared to be more constant than its body is.
tests/scanner/db/test_sql_functions.py holds it.
"""

from django.db import migrations

FUNCTIONS = {
    "state_at(replica integer, sequence integer)": """
        RETURNS SETOF scanner_version LANGUAGE sql STABLE PARALLEL SAFE AS $$
            -- The entries of a replica at a run: what began by then and had not ended.
            SELECT * FROM scanner_version AS version
            WHERE version.replica_id = state_at.replica AND version.from_seq <= state_at.sequence
                AND (version.until_seq IS NULL OR version.until_seq > state_at.sequence)
        $$
    """,
    "is_below(path text, directory text)": """
        RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
            -- Whether a path lies in a directory, which ends with a slash or is empty for the root. The first two
            -- conditions are for the index: no path begins with 512 of the last character, and '0' follows '/'.
            SELECT left(path, 512) >= left(directory, 512)
                AND left(path, 512) <= CASE directory
                    WHEN '' THEN repeat(chr(1114111), 512)
                    ELSE left(left(directory, -1) || '0', 512)
                END
                AND path <> directory
                AND starts_with(path, directory)
        $$
    """,
    "directory_of(path text)": """
        RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
            -- The directory in which a path lies, with its slash; empty for the root.
            SELECT CASE WHEN strpos(path, '/') > 0
                THEN left(path, length(path) - strpos(reverse(path), '/') + 1)
                ELSE ''
            END
        $$
    """,
    "name_of(path text)": """
        RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
            -- The last part of a path.
            SELECT CASE WHEN strpos(path, '/') > 0
                THEN right(path, strpos(reverse(path), '/') - 1)
                ELSE path
            END
        $$
    """,
    "directory_at_depth(parts text[], depth integer)": """
        RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS $$
            -- The first so many parts of a path as a directory, with its slash; empty at depth 0, the root.
            SELECT CASE depth
                WHEN 0 THEN ''
                ELSE array_to_string(parts[1:depth], '/') || '/'
            END
        $$
    """,
}


class Migration(migrations.Migration):
    dependencies = [("scanner", "0006_wording")]

    operations = [
        migrations.RunSQL(f"CREATE FUNCTION {signature} {body}", f"DROP FUNCTION {signature}")
        for signature, body in FUNCTIONS.items()
    ]
