"""An index of the notes that tell of failing memory or cables: the overview counts them, whatever else a run noted."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("scanner", "0004_relation")]

    operations = [
        migrations.RunSQL(
            "CREATE INDEX note_misread ON scanner_note (run_id) WHERE note = 'misread'", "DROP INDEX note_misread"
        ),
    ]
