"""Indexes of divergences that need expressions, as those of changes do (0003)."""

from django.db import migrations

PATH_KEY = r"""(CASE WHEN octet_length({0}) > 512
    THEN sha256(decode(replace({0}, '\', '\\'), 'escape')) ELSE ''::bytea END)"""

INDEXES = {
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
}


class Migration(migrations.Migration):
    dependencies = [("checker", "0004_divergences")]

    operations = [
        migrations.RunSQL("CREATE " + text.format(name), f"DROP INDEX {name}") for name, text in INDEXES.items()
    ]
