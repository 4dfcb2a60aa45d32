"""The contents that comparisons of replicas found damaged, which later comparisons know again."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models
from django.db.models.functions import Left


class Migration(migrations.Migration):
    dependencies = [
        ("checker", "0011_mounts_and_empty_roots"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        ("scanner", "0007_sql_functions"),
    ]

    operations = [
        migrations.CreateModel(
            name="KnownDamage",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("path", models.TextField(db_collation="C", verbose_name="path")),
                ("sha256", models.BinaryField(max_length=32)),
                ("undamaged_sha256", models.BinaryField(max_length=32, null=True)),
                ("ground", models.TextField()),
                ("judged_at", models.DateTimeField(verbose_name="judged")),
                ("ended_at", models.DateTimeField(null=True, verbose_name="ended")),
                ("reason", models.TextField(blank=True, verbose_name="reason")),
                (
                    "ended_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="ended by",
                    ),
                ),
                (
                    "group",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="known_damage",
                        to="scanner.group",
                        verbose_name="group",
                    ),
                ),
                (
                    "replica",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="scanner.replica",
                        verbose_name="replica",
                    ),
                ),
                (
                    "run",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="scanner.run",
                        verbose_name="run",
                    ),
                ),
            ],
            options={
                "verbose_name": "known damage",
                "verbose_name_plural": "known damage",
                "indexes": [models.Index(models.F("group"), Left("path", 512), name="known_damage_path")],
            },
        ),
    ]
