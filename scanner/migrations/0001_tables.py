"""The tables of the models."""

import datetime
import uuid

import django.core.validators
import django.db.models.deletion
import django.db.models.functions.datetime
from django.conf import settings
from django.db import migrations, models

import scanner.validators


class Migration(migrations.Migration):
    initial = True
    replaces = [
        ("scanner", "0001_initial"),
        ("scanner", "0002_version_indexes"),
        ("scanner", "0003_policy"),
        ("scanner", "0004_relation"),
        ("scanner", "0005_misread_index"),
        ("scanner", "0006_wording"),
        ("scanner", "0007_sql_functions"),
        ("scanner", "0008_skipped_index"),
    ]

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Scope",
            fields=[
                ("digest", models.BinaryField(max_length=64, primary_key=True, serialize=False)),
                ("excludes", models.TextField(blank=True, verbose_name="excludes")),
                ("cross_mounts", models.BooleanField(verbose_name="enter mount points below the root")),
            ],
            options={
                "verbose_name": "scope",
                "verbose_name_plural": "scopes",
            },
        ),
        migrations.CreateModel(
            name="Server",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("uuid", models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ("name", models.CharField(max_length=200, unique=True, verbose_name="name")),
                ("note", models.TextField(blank=True, verbose_name="note")),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), editable=False, verbose_name="created"
                    ),
                ),
                ("archived_at", models.DateTimeField(blank=True, editable=False, null=True, verbose_name="archived")),
                ("held_at", models.DateTimeField(blank=True, editable=False, null=True, verbose_name="on hold")),
                ("held_reason", models.TextField(blank=True, editable=False, verbose_name="reason for the hold")),
                (
                    "last_seen_at",
                    models.DateTimeField(blank=True, editable=False, null=True, verbose_name="last contact"),
                ),
                (
                    "clock_offset_s",
                    models.IntegerField(
                        blank=True, editable=False, null=True, verbose_name="seconds that the clock is ahead"
                    ),
                ),
                (
                    "clock_checked_at",
                    models.DateTimeField(blank=True, editable=False, null=True, verbose_name="clock compared"),
                ),
                (
                    "uploads_per_hour",
                    models.PositiveIntegerField(blank=True, null=True, verbose_name="uploads per hour"),
                ),
                ("bytes_per_day", models.PositiveBigIntegerField(blank=True, null=True, verbose_name="bytes per day")),
            ],
            options={
                "verbose_name": "server",
                "verbose_name_plural": "servers",
                "ordering": ["name"],
            },
        ),
        migrations.CreateModel(
            name="Group",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("uuid", models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ("name", models.CharField(max_length=200, unique=True, verbose_name="name")),
                ("note", models.TextField(blank=True, verbose_name="note")),
                (
                    "excludes",
                    models.TextField(
                        blank=True, validators=[scanner.validators.validate_excludes], verbose_name="excludes"
                    ),
                ),
                (
                    "engine",
                    models.CharField(
                        choices=[
                            ("auto", "automatic: the faster one"),
                            ("native", "the platform's own tools"),
                            ("hashlib", "in process, one read"),
                        ],
                        default="auto",
                        max_length=10,
                        verbose_name="engine",
                    ),
                ),
                ("cross_mounts", models.BooleanField(default=False, verbose_name="enter mount points below the root")),
                (
                    "expected_interval",
                    models.DurationField(default=datetime.timedelta(days=1), verbose_name="expected interval"),
                ),
                (
                    "policy",
                    models.CharField(
                        choices=[
                            ("mutable", "mutable: files are added, changed and removed"),
                            ("append_only", "append-only: files are added, never changed or removed"),
                            ("immutable", "immutable: nothing changes"),
                            ("rotating", "rotating: new files are added, old ones are removed"),
                        ],
                        default="mutable",
                        max_length=12,
                        verbose_name="policy",
                    ),
                ),
                ("keep_days", models.PositiveIntegerField(blank=True, null=True, verbose_name="days to keep a file")),
                (
                    "limit_share",
                    models.PositiveSmallIntegerField(
                        blank=True, null=True, verbose_name="and more than this percentage of files"
                    ),
                ),
                (
                    "limit_files",
                    models.PositiveIntegerField(
                        blank=True, null=True, verbose_name="hold when more files than this change"
                    ),
                ),
                (
                    "relation",
                    models.CharField(
                        choices=[
                            ("mirror", "mirror: all copies are alike"),
                            ("primary", "primary: one replica leads, the others follow it"),
                            ("subset", "parts: some replicas keep only a part"),
                        ],
                        default="mirror",
                        max_length=10,
                        verbose_name="relation",
                    ),
                ),
                ("lag", models.DurationField(default=datetime.timedelta(days=1), verbose_name="allowed lag")),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), editable=False, verbose_name="created"
                    ),
                ),
                ("archived_at", models.DateTimeField(blank=True, editable=False, null=True, verbose_name="archived")),
            ],
            options={
                "verbose_name": "group",
                "verbose_name_plural": "groups",
                "ordering": ["name"],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("expected_interval__gt", datetime.timedelta(0))),
                        name="group_interval_positive",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("engine__in", ["auto", "native", "hashlib"])), name="group_engine_known"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("policy__in", ["mutable", "append_only", "immutable", "rotating"])),
                        name="group_policy_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("policy", "rotating"), _negated=True),
                            ("keep_days__isnull", False),
                            _connector="OR",
                        ),
                        name="group_rotation_has_an_age",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("limit_share", None), ("limit_share__lte", 100), _connector="OR"),
                        name="group_share_percent",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("relation__in", ["mirror", "primary", "subset"])),
                        name="group_relation_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("lag__gte", datetime.timedelta(0))), name="group_lag_not_negative"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Replica",
            fields=[
                ("id", models.AutoField(primary_key=True, serialize=False)),
                ("uuid", models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                (
                    "root",
                    models.CharField(
                        max_length=600, validators=[scanner.validators.validate_root], verbose_name="root"
                    ),
                ),
                (
                    "origin",
                    models.CharField(
                        choices=[("collector", "signed by a collector"), ("unsigned", "imported, unsigned")],
                        default="collector",
                        editable=False,
                        max_length=10,
                        verbose_name="origin",
                    ),
                ),
                ("enabled", models.BooleanField(default=True, verbose_name="enabled")),
                ("accept_root", models.BooleanField(default=False, verbose_name="accept a changed root once")),
                ("leads", models.BooleanField(default=False, verbose_name="primary")),
                (
                    "keeps",
                    models.TextField(
                        blank=True, validators=[scanner.validators.validate_excludes], verbose_name="keeps only"
                    ),
                ),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), editable=False, verbose_name="created"
                    ),
                ),
                ("archived_at", models.DateTimeField(blank=True, editable=False, null=True, verbose_name="archived")),
                (
                    "group",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="replicas",
                        to="scanner.group",
                        verbose_name="group",
                    ),
                ),
                (
                    "server",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="replicas",
                        to="scanner.server",
                        verbose_name="server",
                    ),
                ),
            ],
            options={
                "verbose_name": "replica",
                "verbose_name_plural": "replicas",
                "ordering": ["group__name", "server__name", "root"],
            },
        ),
        migrations.CreateModel(
            name="Run",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("uuid", models.UUIDField(unique=True)),
                (
                    "sequence",
                    models.PositiveIntegerField(
                        validators=[django.core.validators.MinValueValidator(1)], verbose_name="run"
                    ),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("received", "received"),
                            ("ingested", "ingested"),
                            ("failed", "failed on its server"),
                            ("refused", "refused"),
                            ("set_aside", "set aside"),
                        ],
                        max_length=10,
                        verbose_name="state",
                    ),
                ),
                ("reason", models.TextField(blank=True, verbose_name="reason")),
                ("envelope", models.BinaryField(null=True)),
                ("statement", models.BinaryField(max_length=64)),
                ("previous", models.BinaryField(max_length=64, null=True)),
                ("break_reason", models.TextField(blank=True, verbose_name="break in the chain")),
                (
                    "break_acknowledged_at",
                    models.DateTimeField(blank=True, null=True, verbose_name="break acknowledged"),
                ),
                ("started_at", models.DateTimeField(verbose_name="started")),
                ("finished_at", models.DateTimeField(verbose_name="finished")),
                (
                    "received_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name="received"),
                ),
                ("ingested_at", models.DateTimeField(null=True, verbose_name="ingested")),
                ("journaled_at", models.DateTimeField(null=True, verbose_name="in the journal")),
                ("work_time_ns", models.BigIntegerField(verbose_name="duration")),
                ("engine", models.CharField(blank=True, max_length=10, verbose_name="engine")),
                ("files", models.BigIntegerField(verbose_name="files")),
                ("bytes", models.BigIntegerField(verbose_name="bytes")),
                ("errors", models.BigIntegerField(verbose_name="errors")),
                ("content", models.BinaryField(max_length=64, null=True)),
                ("records_count", models.BigIntegerField()),
                ("records_bytes", models.BigIntegerField()),
                ("records_digest", models.BinaryField(max_length=64)),
                ("upload", models.CharField(blank=True, max_length=100)),
                ("upload_size", models.BigIntegerField(default=0)),
                ("attempts", models.PositiveSmallIntegerField(default=0)),
                ("opened", models.BigIntegerField(null=True)),
                ("closed", models.BigIntegerField(null=True)),
                (
                    "replica",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="runs",
                        to="scanner.replica",
                        verbose_name="replica",
                    ),
                ),
            ],
            options={
                "verbose_name": "run",
                "verbose_name_plural": "runs",
                "ordering": ["replica", "-sequence"],
            },
        ),
        migrations.CreateModel(
            name="Note",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("note", models.TextField(db_collation="C")),
                ("path", models.TextField(db_collation="C")),
                ("detail", models.TextField(db_collation="C")),
                (
                    "run",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="notes",
                        to="scanner.run",
                        verbose_name="run",
                    ),
                ),
            ],
            options={
                "verbose_name": "note",
                "verbose_name_plural": "notes",
            },
        ),
        migrations.CreateModel(
            name="ServerKey",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("keyid", models.CharField(max_length=64, unique=True, verbose_name="key")),
                ("public", models.BinaryField(max_length=32, unique=True)),
                (
                    "created_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name="created"),
                ),
                ("revoked_at", models.DateTimeField(blank=True, null=True, verbose_name="revoked")),
                (
                    "server",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="keys",
                        to="scanner.server",
                        verbose_name="server",
                    ),
                ),
            ],
            options={
                "verbose_name": "server key",
                "verbose_name_plural": "server keys",
            },
        ),
        migrations.AddField(
            model_name="run",
            name="key",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="runs",
                to="scanner.serverkey",
                verbose_name="server key",
            ),
        ),
        migrations.CreateModel(
            name="EnrolmentToken",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("digest", models.BinaryField(max_length=32, unique=True)),
                (
                    "created_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name="created"),
                ),
                ("expires_at", models.DateTimeField(verbose_name="expires")),
                ("used_at", models.DateTimeField(null=True, verbose_name="used")),
                (
                    "created_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "server",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="enrolment_tokens",
                        to="scanner.server",
                        verbose_name="server",
                    ),
                ),
                (
                    "key",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="scanner.serverkey",
                        verbose_name="server key",
                    ),
                ),
            ],
            options={
                "verbose_name": "enrolment token",
                "verbose_name_plural": "enrolment tokens",
            },
        ),
        migrations.CreateModel(
            name="ServerToken",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("digest", models.BinaryField(max_length=32, unique=True)),
                (
                    "created_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name="created"),
                ),
                ("last_used_at", models.DateTimeField(null=True, verbose_name="last used")),
                ("revoked_at", models.DateTimeField(null=True, verbose_name="revoked")),
                (
                    "server",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="tokens",
                        to="scanner.server",
                        verbose_name="server",
                    ),
                ),
            ],
            options={
                "verbose_name": "server token",
                "verbose_name_plural": "server tokens",
            },
        ),
        migrations.CreateModel(
            name="Usage",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("subject", models.CharField(max_length=100)),
                ("slot", models.DateTimeField()),
                ("used", models.BigIntegerField(default=0)),
            ],
            options={
                "verbose_name": "quota usage",
                "verbose_name_plural": "quota usage",
                "constraints": [models.UniqueConstraint(fields=("subject", "slot"), name="usage_once")],
            },
        ),
        migrations.CreateModel(
            name="Version",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("size", models.BigIntegerField(null=True, verbose_name="size")),
                ("mtime_ns", models.BigIntegerField(null=True, verbose_name="modified")),
                ("uid", models.BigIntegerField(null=True)),
                ("gid", models.BigIntegerField(null=True)),
                ("from_seq", models.IntegerField()),
                ("until_seq", models.IntegerField(null=True)),
                ("mode", models.IntegerField(null=True)),
                ("type", models.SmallIntegerField()),
                ("sha256", models.BinaryField(max_length=32, null=True)),
                ("md5", models.BinaryField(max_length=16, null=True)),
                ("path", models.TextField(db_collation="C", verbose_name="path")),
                ("detail", models.TextField(db_collation="C", null=True)),
                ("stage", models.TextField(db_collation="C", null=True)),
                (
                    "replica",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="versions",
                        to="scanner.replica",
                        verbose_name="replica",
                    ),
                ),
            ],
            options={
                "verbose_name": "version",
                "verbose_name_plural": "versions",
            },
        ),
        migrations.CreateModel(
            name="Progress",
            fields=[
                ("uuid", models.UUIDField(primary_key=True, serialize=False)),
                ("started_at", models.DateTimeField(verbose_name="started")),
                ("updated_at", models.DateTimeField(verbose_name="updated")),
                ("phase", models.CharField(max_length=10, verbose_name="phase")),
                ("files_done", models.BigIntegerField(default=0)),
                ("files_total", models.BigIntegerField(default=0)),
                ("bytes_done", models.BigIntegerField(default=0)),
                ("bytes_total", models.BigIntegerField(default=0)),
                ("current", models.TextField(blank=True)),
                (
                    "replica",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="progress",
                        to="scanner.replica",
                        verbose_name="replica",
                    ),
                ),
            ],
            options={
                "verbose_name": "progress",
                "verbose_name_plural": "progress",
                "indexes": [models.Index(fields=["replica", "-updated_at"], name="progress_newest")],
            },
        ),
        migrations.CreateModel(
            name="Equivocation",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("envelope", models.BinaryField()),
                ("statement", models.BinaryField(max_length=64)),
                (
                    "received_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name="received"),
                ),
                ("resolved_at", models.DateTimeField(blank=True, null=True, verbose_name="resolved")),
                (
                    "run",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="equivocations",
                        to="scanner.run",
                        verbose_name="run",
                    ),
                ),
            ],
            options={
                "verbose_name": "conflicting statement",
                "verbose_name_plural": "conflicting statements",
                "constraints": [models.UniqueConstraint(fields=("run", "statement"), name="equivocation_once")],
            },
        ),
        migrations.AddConstraint(
            model_name="replica",
            constraint=models.UniqueConstraint(fields=("group", "server", "root", "origin"), name="replica_once"),
        ),
        migrations.AddConstraint(
            model_name="replica",
            constraint=models.CheckConstraint(
                condition=models.Q(("root__startswith", "/")), name="replica_root_absolute"
            ),
        ),
        migrations.AddConstraint(
            model_name="replica",
            constraint=models.CheckConstraint(
                condition=models.Q(("origin__in", ["collector", "unsigned"])), name="replica_origin_known"
            ),
        ),
        migrations.AddConstraint(
            model_name="replica",
            constraint=models.UniqueConstraint(
                condition=models.Q(("archived_at", None), ("leads", True)), fields=("group",), name="replica_one_leads"
            ),
        ),
        migrations.AddIndex(
            model_name="run",
            index=models.Index(
                condition=models.Q(("state", "received")), fields=["replica", "sequence"], name="run_waiting"
            ),
        ),
        migrations.AddIndex(
            model_name="run",
            index=models.Index(
                condition=models.Q(
                    ("break_acknowledged_at__isnull", True), models.Q(("break_reason", ""), _negated=True)
                ),
                fields=["replica"],
                name="run_break_open",
            ),
        ),
        migrations.AddConstraint(
            model_name="run",
            constraint=models.UniqueConstraint(fields=("replica", "sequence"), name="run_once"),
        ),
        migrations.AddConstraint(
            model_name="run",
            constraint=models.CheckConstraint(condition=models.Q(("sequence__gte", 1)), name="run_sequence_positive"),
        ),
        migrations.AddConstraint(
            model_name="run",
            constraint=models.CheckConstraint(
                condition=models.Q(("state__in", ["received", "ingested", "failed", "refused", "set_aside"])),
                name="run_state_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="run",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("state", "ingested"), _negated=True), ("ingested_at__isnull", False), _connector="OR"
                ),
                name="run_ingested_when",
            ),
        ),
        migrations.AddConstraint(
            model_name="version",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("from_seq__gte", 1),
                    models.Q(("until_seq__isnull", True), ("until_seq__gt", models.F("from_seq")), _connector="OR"),
                ),
                name="version_interval",
            ),
        ),
        migrations.AddConstraint(
            model_name="version",
            constraint=models.CheckConstraint(
                condition=models.Q(("type__in", [1, 2, 3, 4])), name="version_type_known"
            ),
        ),
    ]
