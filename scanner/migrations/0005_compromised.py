"""A key may be in the wrong hands since a moment."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("scanner", "0004_growth"),
    ]

    operations = [
        migrations.AddField(
            model_name="serverkey",
            name="compromised_since",
            field=models.DateTimeField(blank=True, null=True, verbose_name="compromised since"),
        ),
    ]
