"""A person declares good what was found damaged; the audit log says so."""

from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("checker", "0002_sql"),
        ("scanner", "0002_sql"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AlterField(
            model_name="auditentry",
            name="action",
            field=models.CharField(
                choices=[
                    ("opened", "opened"),
                    ("seen_again", "seen again"),
                    ("accepted", "accepted"),
                    ("undone", "acceptance undone"),
                    ("released", "replica released"),
                    ("expired", "acceptance expired"),
                    ("resolved", "resolved by proof"),
                    ("declared", "content declared good"),
                    ("withdrawn", "declaration withdrawn"),
                ],
                db_column="what",
                max_length=10,
                verbose_name="action",
            ),
        ),
        migrations.AddField(
            model_name="auditentry",
            name="sha256",
            field=models.BinaryField(max_length=32, null=True),
        ),
        migrations.AddIndex(
            model_name="knowndamage",
            index=models.Index(
                models.F("group"), condition=models.Q(("ended_at__isnull", False)), name="known_damage_ended"
            ),
        ),
    ]
