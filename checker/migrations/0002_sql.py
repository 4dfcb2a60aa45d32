"""What no model can say of changes and divergences: indexes with expressions, the audit log's lock, an SQL function.

The indexes on paths are made as those of the history are (migration 0002 of `scanner`).
"""

from django.db import migrations

PATH_KEY = r"""(CASE WHEN octet_length({0}) > 512
    THEN sha256(decode(replace({0}, '\', '\\'), 'escape')) ELSE ''::bytea END)"""

INDEXES = {
    # The list, and that a path has one kind.
    "change_path": f'UNIQUE INDEX {{}} ON checker_change (comparison_id, "left"(path, 512), {PATH_KEY.format("path")})',
    # The list of one kind.
    "change_kind": 'INDEX {} ON checker_change (comparison_id, kind, "left"(path, 512))',
    # What a finding is made of.
    "change_finding": 'INDEX {} ON checker_change (finding_id, "left"(path, 512)) WHERE finding_id IS NOT NULL',
    # A level of the tree.
    "branch_level": f"""UNIQUE INDEX {{}} ON checker_branch
        (comparison_id, depth, "left"(directory, 512), {PATH_KEY.format("directory")}, kind)""",
    # The list, what is carried on from one comparison to the next, and that a path is told once.
    "divergence_path": f"""UNIQUE INDEX {{}} ON checker_divergence
        (comparison_id, "left"(path, 512), {PATH_KEY.format("path")})""",
    # The list of one kind.
    "divergence_kind": 'INDEX {} ON checker_divergence (comparison_id, kind, "left"(path, 512))',
    # The list of one verdict.
    "divergence_verdict": """INDEX {} ON checker_divergence (comparison_id, verdict, "left"(path, 512))
        WHERE verdict <> ''""",
    # What a finding is made of.
    "divergence_finding": 'INDEX {} ON checker_divergence (finding_id, "left"(path, 512)) WHERE finding_id IS NOT NULL',
    # A level of the tree.
    "divergence_level": f"""UNIQUE INDEX {{}} ON checker_divergencebranch
        (comparison_id, depth, "left"(directory, 512), {PATH_KEY.format("directory")}, kind)""",
    # Each page looks whether directories are missing wholly.
    "divergence_absence": "INDEX {} ON checker_divergence (comparison_id) WHERE number IS NOT NULL",
}

# What happened to a finding stays as it was written, whoever writes: only an owner of the table can take this away.
# TRUNCATE asks no trigger of rows, so it has its own.
LOCK = """
CREATE FUNCTION checker_keep_act() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    RAISE insufficient_privilege USING MESSAGE = 'acts are never changed or deleted';
END $$;
CREATE TRIGGER act_stays BEFORE UPDATE OR DELETE ON checker_act FOR EACH ROW EXECUTE FUNCTION checker_keep_act();
CREATE TRIGGER acts_stay BEFORE TRUNCATE ON checker_act FOR EACH STATEMENT EXECUTE FUNCTION checker_keep_act()
"""
UNLOCK = """
DROP TRIGGER acts_stay ON checker_act;
DROP TRIGGER act_stays ON checker_act;
DROP FUNCTION checker_keep_act()
"""

# A report may hold JSON that PostgreSQL stores as text and does not accept as jsonb: a string with a NUL, for one. Such
# a note is proven like any other, so it must not keep the run that holds it from being compared: its members are then
# not known. `pg_input_is_valid` would say the same, but only from PostgreSQL 16 on.
NOTE_MEMBERS = """
CREATE FUNCTION note_members(detail text) RETURNS jsonb LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN coalesce(nullif(detail, ''), '{}')::jsonb;
EXCEPTION
    WHEN data_exception OR statement_too_complex THEN RETURN '{}';
END
$$
"""


class Migration(migrations.Migration):
    replaces = [("checker", "0013_linked_findings")]

    dependencies = [("checker", "0001_tables"), ("scanner", "0002_sql")]

    operations = [
        *(migrations.RunSQL("CREATE " + text.format(name), f"DROP INDEX {name}") for name, text in INDEXES.items()),
        migrations.RunSQL(LOCK, UNLOCK),
        migrations.RunSQL(NOTE_MEMBERS, "DROP FUNCTION note_members(text)"),
    ]
