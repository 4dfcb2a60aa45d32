"""Directories that some replicas lack wholly are kept as one row."""

from django.contrib.postgres.fields import ArrayField
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("checker", "0006_acts_stay")]

    operations = [
        migrations.AddField("divergence", "number", models.BigIntegerField(null=True)),
        migrations.AddField("divergence", "holder", models.BigIntegerField(null=True)),
        migrations.AddField("groupcomparison", "seating", ArrayField(models.BigIntegerField(), default=list)),
        # Each page looks whether there are any.
        migrations.RunSQL(
            "CREATE INDEX divergence_absence ON checker_divergence (comparison_id) WHERE number IS NOT NULL",
            "DROP INDEX divergence_absence",
        ),
    ]
