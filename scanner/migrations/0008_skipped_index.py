"""An index of the notes that tell of names which no line of a report holds: the overview counts them."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("scanner", "0007_sql_functions")]

    operations = [
        migrations.RunSQL(
            "CREATE INDEX note_skipped ON scanner_note (run_id) WHERE note = 'skipped'", "DROP INDEX note_skipped"
        ),
    ]
