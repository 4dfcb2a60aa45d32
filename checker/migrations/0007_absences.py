"""Directories that some replicas lack wholly are kept as one row."""

from django.contrib.postgres.fields import ArrayField
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("checker", "0006_acts_stay")]

    operations = [
        migrations.AddField("divergence", "number", models.BigIntegerField(null=True)),
        migrations.AddField("divergence", "holder", models.BigIntegerField(null=True)),
        migrations.AddField("groupcomparison", "seating", ArrayField(models.BigIntegerField(), default=list)),
        # What is kept rests on the places of those who took part; where fewer than two do now, of those before.
        migrations.RunSQL(
            """
            UPDATE checker_groupcomparison AS comparison SET seating = seats.replicas FROM (
                SELECT comparison_id, array_agg(replica_id::bigint ORDER BY position) AS replicas
                FROM checker_participant WHERE run_id IS NOT NULL GROUP BY comparison_id HAVING count(*) > 1) AS seats
            WHERE seats.comparison_id = comparison.id
            """,
            migrations.RunSQL.noop,
        ),
        # Each page looks whether there are any.
        migrations.RunSQL(
            "CREATE INDEX divergence_absence ON checker_divergence (comparison_id) WHERE number IS NOT NULL",
            "DROP INDEX divergence_absence",
        ),
    ]
