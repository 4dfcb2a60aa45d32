"""Indexes of the history that need expressions.

A B-tree key ends at 2,704 bytes and a path does not: the first 512 characters order and find it (ordering by them and then by
the whole path is the order of the whole path), and the digest of a longer path keeps it unique.
"""

from django.db import migrations

# Immutable because the database's encoding never changes; PostgreSQL cannot know that of convert_to().
PATH_KEY = """
CREATE FUNCTION scanner_path_key(path text) RETURNS bytea
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
AS $$ SELECT CASE WHEN length(path) > 512 THEN sha256(convert_to(path, 'UTF8')) ELSE '\\x'::bytea END $$
"""

INDEXES = {
    # Lists and trees of a replica, one path's life, and that a path has one version that begins at a run.
    "version_path": 'UNIQUE {} (replica_id, "left"(path, 512), scanner_path_key(path), from_seq)',
    # What a run began, and what it ended: changes between two runs.
    "version_from": "{} (replica_id, from_seq)",
    "version_until": "{} (replica_id, until_seq) WHERE until_seq IS NOT NULL",
    # The list of a run's files, largest first.
    "version_size": "{} (replica_id, size DESC, id) WHERE type = 1",
    # The list of a run's errors.
    "version_error": '{} (replica_id, "left"(path, 512)) WHERE type = 2',
}


def create(name: str, shape: str) -> migrations.RunSQL:
    target = f"INDEX {name} ON scanner_version"
    return migrations.RunSQL(f"CREATE {shape.format(target)}", f"DROP INDEX {name}")


class Migration(migrations.Migration):
    dependencies = [("scanner", "0001_initial")]

    operations = [
        migrations.RunSQL(PATH_KEY, "DROP FUNCTION scanner_path_key(text)"),
        *(create(name, shape) for name, shape in INDEXES.items()),
        migrations.RunSQL("CREATE INDEX note_run ON scanner_note (run_id)", "DROP INDEX note_run"),
    ]
