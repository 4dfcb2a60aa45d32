"""Give the rows of the audit log, and who acted, plain names in Python. No table and no column changes.

The permissions follow the model's name, so that nobody loses them and none is there twice.
"""

from typing import Any

import django.db.models.deletion
import django.db.models.functions.datetime
from django.conf import settings
from django.db import migrations, models

VERBS = ("add", "change", "delete", "view")


def rename_permissions(apps: Any, schema_editor: Any, before: str, after: str) -> None:
    """Rename the four permissions of the model. A new database has none yet; Django makes them after migrating."""
    permissions = apps.get_model("auth", "Permission").objects.using(schema_editor.connection.alias)

    for verb in VERBS:
        permissions.filter(content_type__app_label="checker", codename=f"{verb}_{before}").update(
            codename=f"{verb}_{after}"
        )


def forwards(apps: Any, schema_editor: Any) -> None:
    """Name the permissions after AuditEntry."""
    rename_permissions(apps, schema_editor, "act", "auditentry")


def backwards(apps: Any, schema_editor: Any) -> None:
    """Name the permissions after Act."""
    rename_permissions(apps, schema_editor, "auditentry", "act")


class Migration(migrations.Migration):
    dependencies = [
        ("checker", "0007_absences"),
        ("auth", "0012_alter_user_first_name_max_length"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AlterModelTable("act", "checker_act"),
        # The table keeps its name, so that this makes no SQL; Django renames the content type with it.
        migrations.RenameModel("Act", "AuditEntry"),
        # The columns keep their names: only the state of the models changes.
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.RenameField("auditentry", "at", "logged_at"),
                migrations.AlterField(
                    "auditentry",
                    "logged_at",
                    models.DateTimeField("time", db_column="at", db_default=django.db.models.functions.datetime.Now()),
                ),
                migrations.RenameField("auditentry", "what", "action"),
                migrations.AlterField(
                    "auditentry",
                    "action",
                    models.CharField(
                        "act",
                        choices=[
                            ("opened", "opened"),
                            ("seen_again", "seen again"),
                            ("accepted", "accepted"),
                            ("undone", "acceptance undone"),
                            ("released", "released"),
                            ("expired", "acceptance expired"),
                            ("resolved", "resolved by proof"),
                        ],
                        db_column="what",
                        max_length=10,
                    ),
                ),
                migrations.RenameField("auditentry", "by", "user"),
                migrations.AlterField(
                    "auditentry",
                    "user",
                    models.ForeignKey(
                        db_column="by_id",
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="by",
                    ),
                ),
                migrations.RenameField("auditentry", "name", "username"),
                migrations.AlterField(
                    "auditentry",
                    "username",
                    models.CharField("name", blank=True, db_column="name", max_length=150),
                ),
                migrations.AlterField(
                    "auditentry",
                    "finding",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="audit_entries",
                        to="checker.finding",
                        verbose_name="finding",
                    ),
                ),
                migrations.RenameField("finding", "by", "accepted_by"),
                migrations.AlterField(
                    "finding",
                    "accepted_by",
                    models.ForeignKey(
                        db_column="by_id",
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="accepted by",
                    ),
                ),
            ],
        ),
        migrations.RunPython(forwards, backwards),
    ]
