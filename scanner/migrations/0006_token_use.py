"""An enrolment token says from where it was used, and whether another key came with it."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("scanner", "0005_compromised"),
    ]

    operations = [
        migrations.AddField(
            model_name="enrolmenttoken",
            name="used_from",
            field=models.GenericIPAddressField(null=True, verbose_name="used from"),
        ),
        migrations.AddField(
            model_name="enrolmenttoken",
            name="reused_at",
            field=models.DateTimeField(null=True, verbose_name="used again"),
        ),
        migrations.AddField(
            model_name="enrolmenttoken",
            name="reused_from",
            field=models.GenericIPAddressField(null=True, verbose_name="used again from"),
        ),
    ]
