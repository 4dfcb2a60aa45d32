"""Steps of judging that fail are kept, with the moment since when, so that no replica stays green meanwhile."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("checker", "0003_declarations"),
        ("scanner", "0002_sql"),
    ]

    operations = [
        migrations.AddField("comparison", "failed_at", models.DateTimeField(null=True)),
        migrations.AddField("groupcomparison", "failed_at", models.DateTimeField(null=True)),
        migrations.AlterField(
            model_name="participant",
            name="status",
            field=models.CharField(
                db_column="standing",
                choices=[
                    ("current", "current"),
                    ("stale", "stale"),
                    ("held", "on hold"),
                    ("failed", "newest run failed"),
                    ("broken", "not proven"),
                    ("off", "switched off"),
                    ("unsigned", "unsigned"),
                    ("unusable", "left out: its statement cannot be used"),
                    ("none", "no proven run"),
                ],
                max_length=10,
                verbose_name="status in the comparison",
            ),
        ),
        migrations.CreateModel(
            name="ProofAttempt",
            fields=[
                (
                    "run",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="proof_attempt",
                        serialize=False,
                        to="scanner.run",
                    ),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[("waiting", "waiting"), ("set_aside", "set aside")],
                        default="waiting",
                        max_length=10,
                        verbose_name="state",
                    ),
                ),
                ("reason", models.TextField(blank=True, verbose_name="reason")),
                ("attempts", models.PositiveSmallIntegerField(default=0)),
                ("failed_at", models.DateTimeField(null=True)),
            ],
            options={
                "verbose_name": "verification",
                "verbose_name_plural": "verifications",
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("state__in", ["waiting", "set_aside"])), name="proof_attempt_state_known"
                    ),
                ],
            },
        ),
    ]
