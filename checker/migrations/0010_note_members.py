"""An SQL function for the members of a note.

A report may hold JSON that PostgreSQL stores as text and does not accept as jsonb: a string with a NUL, for one. Such a
note is proven like any other, so it must not keep the run that holds it from being compared: its members are then not
known. `pg_input_is_valid` would say the same, but only from PostgreSQL 16 on.
"""

from django.db import migrations

CREATE = """
CREATE FUNCTION note_members(detail text) RETURNS jsonb LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN coalesce(nullif(detail, ''), '{}')::jsonb;
EXCEPTION
    WHEN data_exception OR statement_too_complex THEN RETURN '{}';
END
$$
"""


class Migration(migrations.Migration):
    dependencies = [("checker", "0009_wording")]

    operations = [migrations.RunSQL(CREATE, "DROP FUNCTION note_members(text)")]
