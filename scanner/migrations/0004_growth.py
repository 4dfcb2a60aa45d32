"""A server may have a limit of its own for the entries that it adds in a day."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("scanner", "0003_replaced_keys"),
    ]

    operations = [
        migrations.AddField(
            model_name="server",
            name="entries_per_day",
            field=models.PositiveBigIntegerField(blank=True, null=True, verbose_name="new entries per day"),
        ),
    ]
