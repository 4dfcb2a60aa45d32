"""What no model can say of the history: indexes with expressions, the shape of a row, and SQL functions.

A B-tree key ends at 2,704 bytes and a path does not: the first 512 characters order and find it (ordering by them and
then by the whole path is the order of the whole path), and the digest of a longer path keeps it unique.
"""

from django.db import migrations

# decode() of what has its backslashes doubled gives the text's bytes, as convert_to() would; but it is immutable, as
# what stands in an index must be, and a function of our own, which cannot be inlined, costs a third of all the time of
# ingest.
PATH_KEY = r"""(CASE WHEN octet_length(path) > 512
    THEN sha256(decode(replace(path, '\', '\\'), 'escape')) ELSE ''::bytea END)"""

INDEXES = {
    # Lists and trees of a replica, one path's life, and that a path has one version that begins at a run.
    "version_path": f'UNIQUE {{}} (replica_id, "left"(path, 512), {PATH_KEY}, from_seq)',
    # What a run began, and what it ended: changes between two runs.
    "version_from": "{} (replica_id, from_seq)",
    "version_until": "{} (replica_id, until_seq) WHERE until_seq IS NOT NULL",
    # The list of a run's entries, largest first; what has no size comes last.
    "version_size": "{} (replica_id, (coalesce(-size, 1)), id)",
    # The lists of what is rare: errors, links, specials.
    "version_rare": '{} (replica_id, type, "left"(path, 512)) WHERE type <> 1',
}

# Each row holds what the line of its type says, and nothing that no line says. An unsigned import knows digests alone.
SHAPE = """
ALTER TABLE scanner_version ADD CONSTRAINT version_shape CHECK (CASE type
    WHEN 1 THEN sha256 IS NOT NULL AND md5 IS NOT NULL AND octet_length(sha256) = 32 AND octet_length(md5) = 16
        AND stage IS NULL AND CASE WHEN size IS NULL THEN num_nonnulls(mtime_ns, mode, uid, gid) = 0
            ELSE mtime_ns IS NOT NULL AND mode IS NOT NULL AND uid IS NOT NULL AND gid IS NOT NULL END
    ELSE num_nonnulls(size, mtime_ns, mode, uid, gid, sha256, md5) = 0 AND detail IS NOT NULL
        AND (type = 2 OR stage IS NULL) END)
"""

# A foreign key looks its replica up anew for each of a million rows that one run brings, at the price of a third of
# ingest. The other direction is all there is to guard: versions come from `store` alone, which holds the replica's row
# meanwhile.
DROP_FOREIGN_KEY = """
DO $$ DECLARE name text; BEGIN
    FOR name IN SELECT conname FROM pg_constraint WHERE conrelid = 'scanner_version'::regclass AND contype = 'f' LOOP
        EXECUTE format('ALTER TABLE scanner_version DROP CONSTRAINT %I', name);
    END LOOP;
END $$
"""
GUARD = """
CREATE FUNCTION scanner_keep_replica() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF EXISTS (SELECT FROM scanner_version WHERE replica_id = OLD.id) THEN
        RAISE foreign_key_violation USING MESSAGE = format('replica %s has versions', OLD.id);
    END IF;
    IF TG_OP = 'DELETE' THEN RETURN OLD; END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER replica_keeps_versions BEFORE DELETE OR UPDATE OF id ON scanner_replica
    FOR EACH ROW EXECUTE FUNCTION scanner_keep_replica()
"""
UNGUARD = "DROP TRIGGER replica_keeps_versions ON scanner_replica; DROP FUNCTION scanner_keep_replica()"

NOTE_INDEXES = {
    # A run's notes, in the order of its report.
    "note_run": "{} (run_id, id)",
    # Notes that are looked for in every run, and that few runs have.
    "note_misread": "{} (run_id) WHERE note = 'misread'",
    "note_skipped": "{} (run_id) WHERE note = 'skipped'",
}

# What many statements say of states and paths. The planner puts the body of each in the place of its call, so that a
# call costs what its body costs, and the indexes on `left(path, 512)` serve it. That is why none is STRICT, and why
# none is declared to be more constant than its body is. tests/scanner/db/test_sql_functions.py holds it.
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


def create_index(table: str, name: str, shape: str) -> migrations.RunSQL:
    target = f"INDEX {name} ON {table}"
    return migrations.RunSQL(f"CREATE {shape.format(target)}", f"DROP INDEX {name}")


class Migration(migrations.Migration):
    replaces = [("scanner", "0009_server_clock")]

    dependencies = [("scanner", "0001_tables")]

    operations = [
        *(create_index("scanner_version", name, shape) for name, shape in INDEXES.items()),
        *(create_index("scanner_note", name, shape) for name, shape in NOTE_INDEXES.items()),
        migrations.RunSQL(SHAPE, "ALTER TABLE scanner_version DROP CONSTRAINT version_shape"),
        migrations.RunSQL(DROP_FOREIGN_KEY, migrations.RunSQL.noop),
        migrations.RunSQL(GUARD, UNGUARD),
        *(
            migrations.RunSQL(f"CREATE FUNCTION {signature} {body}", f"DROP FUNCTION {signature}")
            for signature, body in FUNCTIONS.items()
        ),
    ]
