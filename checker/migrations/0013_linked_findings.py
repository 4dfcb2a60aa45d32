"""Findings of one replica know the finding between the replicas about the same path."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("checker", "0012_known_damage")]

    operations = [
        migrations.AddField(
            model_name="finding",
            name="group_finding",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="replica_findings",
                to="checker.finding",
                verbose_name="finding between the replicas",
            ),
        ),
    ]
