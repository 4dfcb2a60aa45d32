"""The tables of the models."""

import uuid

import django.contrib.postgres.fields
import django.db.models.deletion
import django.db.models.functions.datetime
import django.db.models.functions.text
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True
    replaces = [
        ("checker", "0001_initial"),
        ("checker", "0002_comparisons"),
        ("checker", "0003_changes"),
        ("checker", "0004_divergences"),
        ("checker", "0005_divergence_indexes"),
        ("checker", "0006_acts_stay"),
        ("checker", "0007_absences"),
        ("checker", "0008_audit_entry"),
        ("checker", "0009_wording"),
        ("checker", "0010_note_members"),
        ("checker", "0011_mounts_and_empty_roots"),
        ("checker", "0012_known_damage"),
    ]

    dependencies = [
        ("scanner", "0001_tables"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Branch",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("comparison_id", models.BigIntegerField()),
                ("number", models.BigIntegerField()),
                ("depth", models.SmallIntegerField()),
                (
                    "kind",
                    models.TextField(
                        choices=[
                            ("corrupted", "corrupted"),
                            ("rewritten", "changed, date unchanged"),
                            ("unreadable", "unreadable"),
                            ("unknown", "unknown"),
                            ("removed", "removed"),
                            ("modified", "modified"),
                            ("reverted", "reverted to earlier content"),
                            ("retyped", "type or link target changed"),
                            ("added", "added"),
                            ("moved", "moved"),
                            ("touched", "attributes changed"),
                            ("readable", "readable again"),
                            ("out_of_scope", "out of scope"),
                        ],
                        db_collation="C",
                    ),
                ),
                ("directory", models.TextField(db_collation="C")),
            ],
            options={
                "verbose_name": "branch",
                "verbose_name_plural": "branches",
            },
        ),
        migrations.CreateModel(
            name="Change",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("comparison_id", models.BigIntegerField()),
                ("finding_id", models.BigIntegerField(null=True)),
                ("old_id", models.BigIntegerField(null=True)),
                ("new_id", models.BigIntegerField(null=True)),
                (
                    "kind",
                    models.TextField(
                        choices=[
                            ("corrupted", "corrupted"),
                            ("rewritten", "changed, date unchanged"),
                            ("unreadable", "unreadable"),
                            ("unknown", "unknown"),
                            ("removed", "removed"),
                            ("modified", "modified"),
                            ("reverted", "reverted to earlier content"),
                            ("retyped", "type or link target changed"),
                            ("added", "added"),
                            ("moved", "moved"),
                            ("touched", "attributes changed"),
                            ("readable", "readable again"),
                            ("out_of_scope", "out of scope"),
                        ],
                        db_collation="C",
                    ),
                ),
                ("departed", models.BooleanField(default=False)),
                ("restores", models.BooleanField(default=False)),
                ("path", models.TextField(db_collation="C")),
                ("other", models.TextField(db_collation="C", null=True)),
                ("notes", models.JSONField(null=True)),
            ],
            options={
                "verbose_name": "change",
                "verbose_name_plural": "changes",
            },
        ),
        migrations.CreateModel(
            name="Divergence",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("comparison_id", models.BigIntegerField()),
                ("finding_id", models.BigIntegerField(null=True)),
                ("since", models.DateTimeField()),
                (
                    "versions",
                    django.contrib.postgres.fields.ArrayField(base_field=models.BigIntegerField(null=True), size=None),
                ),
                ("current", models.BooleanField()),
                (
                    "kind",
                    models.TextField(
                        choices=[
                            ("mismatch", "contents differ"),
                            ("lost", "missing"),
                            ("unknown", "unknown"),
                            ("moved", "at another path"),
                            ("lagging", "within allowed lag"),
                            ("lingering", "kept after removal (allowed)"),
                        ],
                        db_collation="C",
                    ),
                ),
                (
                    "verdict",
                    models.TextField(
                        blank=True,
                        choices=[("damaged", "damaged"), ("unsure", "cannot tell"), ("newer", "newer version")],
                        db_collation="C",
                    ),
                ),
                ("cells", models.TextField(db_collation="C")),
                ("judged", models.TextField(db_collation="C")),
                ("path", models.TextField(db_collation="C")),
                ("others", models.JSONField(null=True)),
                ("alike", models.TextField(blank=True, db_collation="C")),
                ("mark", models.BinaryField(max_length=32)),
                ("number", models.BigIntegerField(null=True)),
                ("holder", models.BigIntegerField(null=True)),
            ],
            options={
                "verbose_name": "divergence",
                "verbose_name_plural": "divergences",
            },
        ),
        migrations.CreateModel(
            name="DivergenceBranch",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("comparison_id", models.BigIntegerField()),
                ("number", models.BigIntegerField()),
                ("damaged", models.BigIntegerField()),
                ("wrong", django.contrib.postgres.fields.ArrayField(base_field=models.BigIntegerField(), size=None)),
                ("depth", models.SmallIntegerField()),
                (
                    "kind",
                    models.TextField(
                        choices=[
                            ("mismatch", "contents differ"),
                            ("lost", "missing"),
                            ("unknown", "unknown"),
                            ("moved", "at another path"),
                            ("lagging", "within allowed lag"),
                            ("lingering", "kept after removal (allowed)"),
                        ],
                        db_collation="C",
                    ),
                ),
                ("directory", models.TextField(db_collation="C")),
            ],
            options={
                "verbose_name": "branch of divergences",
                "verbose_name_plural": "branches of divergences",
            },
        ),
        migrations.CreateModel(
            name="Finding",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("uuid", models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("corrupted", "corrupted"),
                            ("rewritten", "changed, date unchanged"),
                            ("unreadable", "unreadable"),
                            ("mounted_over", "hidden behind a mount"),
                            ("restless", "unstable (changes while being read)"),
                            ("removed", "removed"),
                            ("modified", "modified"),
                            ("reverted", "reverted to earlier content"),
                            ("retyped", "type or link target changed"),
                            ("added", "added"),
                            ("moved", "moved"),
                            ("touched", "attributes changed"),
                            ("mass_change", "mass change"),
                            ("no_new_file", "no new files"),
                            ("empty", "nothing found"),
                            ("lost", "missing"),
                            ("mismatch", "contents differ"),
                        ],
                        max_length=12,
                        verbose_name="kind",
                    ),
                ),
                (
                    "severity",
                    models.SmallIntegerField(choices=[(1, "warning"), (2, "critical")], verbose_name="severity"),
                ),
                ("path", models.TextField(blank=True, db_collation="C", verbose_name="path")),
                ("folded", models.BooleanField(default=False)),
                ("number", models.BigIntegerField(default=1, verbose_name="paths")),
                (
                    "concerns",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.IntegerField(), db_default=[], default=list, size=None
                    ),
                ),
                ("evidence", models.JSONField(default=dict)),
                (
                    "state",
                    models.CharField(
                        choices=[("open", "open"), ("accepted", "accepted"), ("resolved", "resolved")],
                        default="open",
                        max_length=10,
                        verbose_name="state",
                    ),
                ),
                (
                    "opened_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name="opened"),
                ),
                ("closed_at", models.DateTimeField(null=True, verbose_name="closed")),
                ("reason", models.TextField(blank=True, verbose_name="reason")),
                ("expires_at", models.DateTimeField(null=True, verbose_name="accepted until")),
                (
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
                (
                    "first_run",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="scanner.run",
                        verbose_name="first run",
                    ),
                ),
                (
                    "group",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="findings",
                        to="scanner.group",
                        verbose_name="group",
                    ),
                ),
                (
                    "group_finding",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="replica_findings",
                        to="checker.finding",
                        verbose_name="finding between the replicas",
                    ),
                ),
                (
                    "last_run",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="scanner.run",
                        verbose_name="last run",
                    ),
                ),
                (
                    "replica",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="findings",
                        to="scanner.replica",
                        verbose_name="replica",
                    ),
                ),
            ],
            options={
                "verbose_name": "finding",
                "verbose_name_plural": "findings",
            },
        ),
        migrations.CreateModel(
            name="AuditEntry",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "logged_at",
                    models.DateTimeField(
                        db_column="at", db_default=django.db.models.functions.datetime.Now(), verbose_name="time"
                    ),
                ),
                (
                    "action",
                    models.CharField(
                        choices=[
                            ("opened", "opened"),
                            ("seen_again", "seen again"),
                            ("accepted", "accepted"),
                            ("undone", "acceptance undone"),
                            ("released", "replica released"),
                            ("expired", "acceptance expired"),
                            ("resolved", "resolved by proof"),
                        ],
                        db_column="what",
                        max_length=10,
                        verbose_name="action",
                    ),
                ),
                ("username", models.CharField(blank=True, db_column="name", max_length=150, verbose_name="name")),
                ("reason", models.TextField(blank=True, verbose_name="reason")),
                ("expires_at", models.DateTimeField(null=True, verbose_name="accepted until")),
                (
                    "run",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="scanner.run",
                        verbose_name="run",
                    ),
                ),
                (
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
                (
                    "finding",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="audit_entries",
                        to="checker.finding",
                        verbose_name="finding",
                    ),
                ),
            ],
            options={
                "verbose_name": "audit log entry",
                "verbose_name_plural": "audit log",
                "db_table": "checker_act",
                "ordering": ["id"],
            },
        ),
        migrations.CreateModel(
            name="GroupComparison",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("moment", models.DateTimeField(null=True, verbose_name="as of")),
                (
                    "state",
                    models.CharField(
                        choices=[("waiting", "waiting"), ("done", "done"), ("set_aside", "set aside")],
                        default="waiting",
                        max_length=10,
                        verbose_name="state",
                    ),
                ),
                ("reason", models.TextField(blank=True, verbose_name="reason")),
                ("attempts", models.PositiveSmallIntegerField(default=0)),
                ("basis", models.TextField(blank=True)),
                (
                    "seating",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.BigIntegerField(), default=list, size=None
                    ),
                ),
                ("counts", models.JSONField(default=dict)),
                ("equal", models.BooleanField(default=False)),
                (
                    "asked_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), verbose_name="requested"
                    ),
                ),
                ("computed_at", models.DateTimeField(null=True, verbose_name="computed")),
                ("duration_ns", models.BigIntegerField(default=0)),
                (
                    "group",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="comparisons",
                        to="scanner.group",
                        verbose_name="group",
                    ),
                ),
            ],
            options={
                "verbose_name": "group comparison",
                "verbose_name_plural": "group comparisons",
            },
        ),
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
            },
        ),
        migrations.CreateModel(
            name="Participant",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("position", models.PositiveSmallIntegerField()),
                (
                    "status",
                    models.CharField(
                        db_column="standing",
                        choices=[
                            ("current", "current"),
                            ("stale", "stale"),
                            ("held", "on hold"),
                            ("failed", "newest run failed"),
                            ("broken", "not proven"),
                            ("off", "switched off"),
                            ("unsigned", "unsigned"),
                            ("none", "no proven run"),
                        ],
                        max_length=10,
                        verbose_name="status in the comparison",
                    ),
                ),
                ("voter", models.TextField(blank=True)),
                ("counts", models.JSONField(default=dict)),
                (
                    "comparison",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="participants",
                        to="checker.groupcomparison",
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
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="scanner.run",
                        verbose_name="run",
                    ),
                ),
            ],
            options={
                "verbose_name": "participant",
                "verbose_name_plural": "participants",
                "ordering": ["position"],
            },
        ),
        migrations.CreateModel(
            name="Proof",
            fields=[
                (
                    "run",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="proof",
                        serialize=False,
                        to="scanner.run",
                    ),
                ),
                ("checked_at", models.DateTimeField(verbose_name="checked")),
                ("ok", models.BooleanField(verbose_name="proven")),
                ("proven_at", models.DateTimeField(null=True, verbose_name="last proven")),
                ("statements", models.JSONField(default=list)),
                ("duration_ns", models.BigIntegerField(default=0)),
            ],
            options={
                "verbose_name": "proof",
                "verbose_name_plural": "proofs",
                "indexes": [
                    models.Index(fields=["checked_at"], name="proof_oldest"),
                    models.Index(condition=models.Q(("ok", False)), fields=["run"], name="proof_failed"),
                ],
            },
        ),
        migrations.CreateModel(
            name="Comparison",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("adjacent", models.BooleanField(verbose_name="with the previous run")),
                (
                    "state",
                    models.CharField(
                        choices=[("waiting", "waiting"), ("done", "done"), ("set_aside", "set aside")],
                        default="waiting",
                        max_length=10,
                        verbose_name="state",
                    ),
                ),
                ("reason", models.TextField(blank=True, verbose_name="reason")),
                ("attempts", models.PositiveSmallIntegerField(default=0)),
                ("step", models.CharField(blank=True, max_length=20)),
                ("steps_done", models.PositiveSmallIntegerField(default=0)),
                ("counts", models.JSONField(default=dict)),
                (
                    "asked_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), verbose_name="requested"
                    ),
                ),
                ("computed_at", models.DateTimeField(null=True, verbose_name="computed")),
                ("duration_ns", models.BigIntegerField(default=0)),
                (
                    "base",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="comparisons_from",
                        to="scanner.run",
                        verbose_name="earlier run",
                    ),
                ),
                (
                    "replica",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="comparisons",
                        to="scanner.replica",
                        verbose_name="replica",
                    ),
                ),
                (
                    "run",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="comparisons",
                        to="scanner.run",
                        verbose_name="run",
                    ),
                ),
            ],
            options={
                "verbose_name": "comparison",
                "verbose_name_plural": "comparisons",
                "indexes": [
                    models.Index(
                        condition=models.Q(("state", "waiting")), fields=["replica", "run"], name="comparison_waiting"
                    )
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("run", "base"), name="comparison_once"),
                    models.UniqueConstraint(
                        condition=models.Q(("adjacent", True)), fields=("run",), name="comparison_adjacent_once"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("adjacent", True), ("base__isnull", True)),
                            models.Q(("base", models.F("run")), _negated=True),
                            _connector="OR",
                        ),
                        name="comparison_of_two",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("state__in", ["waiting", "done", "set_aside"])),
                        name="comparison_state_known",
                    ),
                ],
            },
        ),
        migrations.AddIndex(
            model_name="finding",
            index=models.Index(
                condition=models.Q(("state", "open")), fields=["replica", "-severity", "-id"], name="finding_open"
            ),
        ),
        migrations.AddIndex(
            model_name="finding",
            index=models.Index(fields=["state", "-id"], name="finding_newest"),
        ),
        migrations.AddIndex(
            model_name="finding",
            index=models.Index(
                condition=models.Q(("replica__isnull", True), ("state", "open")),
                fields=["group", "-severity", "-id"],
                name="finding_between_open",
            ),
        ),
        migrations.AddIndex(
            model_name="finding",
            index=models.Index(
                condition=models.Q(("expires_at__isnull", False)), fields=["expires_at"], name="finding_expiring"
            ),
        ),
        migrations.AddConstraint(
            model_name="finding",
            constraint=models.CheckConstraint(
                condition=models.Q(("state__in", ["open", "accepted", "resolved"])), name="finding_state_known"
            ),
        ),
        migrations.AddConstraint(
            model_name="finding",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("closed_at", None), ("state", "open")),
                    models.Q(models.Q(("state", "open"), _negated=True), ("closed_at__isnull", False)),
                    _connector="OR",
                ),
                name="finding_closed_when",
            ),
        ),
        migrations.AddConstraint(
            model_name="finding",
            constraint=models.CheckConstraint(
                condition=models.Q(("expires_at", None), ("state", "accepted"), _connector="OR"), name="finding_expiry"
            ),
        ),
        migrations.AddConstraint(
            model_name="groupcomparison",
            constraint=models.UniqueConstraint(
                condition=models.Q(("moment__isnull", True)), fields=("group",), name="group_comparison_newest_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="groupcomparison",
            constraint=models.UniqueConstraint(fields=("group", "moment"), name="group_comparison_once"),
        ),
        migrations.AddConstraint(
            model_name="groupcomparison",
            constraint=models.CheckConstraint(
                condition=models.Q(("state__in", ["waiting", "done", "set_aside"])), name="group_comparison_state_known"
            ),
        ),
        migrations.AddIndex(
            model_name="knowndamage",
            index=models.Index(
                models.F("group"), django.db.models.functions.text.Left("path", 512), name="known_damage_path"
            ),
        ),
        migrations.AddConstraint(
            model_name="participant",
            constraint=models.UniqueConstraint(fields=("comparison", "position"), name="participant_position_once"),
        ),
        migrations.AddConstraint(
            model_name="participant",
            constraint=models.UniqueConstraint(fields=("comparison", "replica"), name="participant_once"),
        ),
    ]
