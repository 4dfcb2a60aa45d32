"""The audit trail is not emptied either: TRUNCATE asks no trigger of rows (0003)."""

from django.db import migrations

LOCK = """
CREATE TRIGGER acts_stay BEFORE TRUNCATE ON checker_act FOR EACH STATEMENT EXECUTE FUNCTION checker_keep_act()
"""
UNLOCK = "DROP TRIGGER acts_stay ON checker_act"


class Migration(migrations.Migration):
    dependencies = [("checker", "0005_divergence_indexes")]

    operations = [migrations.RunSQL(LOCK, UNLOCK)]
