"""Indexes of changes that need expressions, as those of the history do (scanner, 0002), and the audit trail's lock."""

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
}

# What happened to a finding stays as it was written, whoever writes: only an owner of the table can take this away.
LOCK = """
CREATE FUNCTION checker_keep_act() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    RAISE insufficient_privilege USING MESSAGE = 'acts are never changed or deleted';
END $$;
CREATE TRIGGER act_stays BEFORE UPDATE OR DELETE ON checker_act FOR EACH ROW EXECUTE FUNCTION checker_keep_act()
"""
UNLOCK = "DROP TRIGGER act_stays ON checker_act; DROP FUNCTION checker_keep_act()"


class Migration(migrations.Migration):
    dependencies = [("checker", "0002_comparisons"), ("scanner", "0003_policy")]

    operations = [
        *(migrations.RunSQL("CREATE " + text.format(name), f"DROP INDEX {name}") for name, text in INDEXES.items()),
        migrations.RunSQL(LOCK, UNLOCK),
    ]
