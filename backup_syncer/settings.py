"""Django settings. Everything an operator may change comes from the environment; a wrong value fails with its name."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import dj_database_url
from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext_lazy as _

from backup_syncer import environment
from backup_syncer.bundled import bundled
from backup_syncer.state_directory import default_state, embedded_url, secret_key

PACKAGE = Path(__file__).resolve().parent
GIB = 1 << 30

# --- where things are ------------------------------------------------------------------------------------------------

BACKUP_SYNCER_STATE = environment.directory("BACKUP_SYNCER_STATE", default_state)
BACKUP_SYNCER_PUBLIC_URL = environment.public_url("BACKUP_SYNCER_PUBLIC_URL", "http://127.0.0.1:8000")
"""No trailing slash. https makes cookies secure, sends HSTS and expects a proxy in front that speaks TLS."""

BACKUP_SYNCER_JOURNAL = BACKUP_SYNCER_STATE / "journal"
"""Directory of the append-only journal of accepted statements."""
BACKUP_SYNCER_CENTRAL_KEY = BACKUP_SYNCER_STATE / "keys" / "central.key"
"""File of the central server's own signing key."""
BACKUP_SYNCER_BEAT = BACKUP_SYNCER_STATE / "beat"
"""Directory where the task cluster shows that it is alive and which workers are busy."""

# --- limits ----------------------------------------------------------------------------------------------------------

BACKUP_SYNCER_INBOX_BYTES = environment.whole("BACKUP_SYNCER_INBOX_BYTES", 64 * GIB)
"""Compressed bytes of reports that wait for ingest, all servers together; above it an upload is answered 503."""
BACKUP_SYNCER_INBOX_REPORTS = environment.whole("BACKUP_SYNCER_INBOX_REPORTS", 1000)
"""Reports that wait for ingest, all servers together; above it an upload is answered 503."""
BACKUP_SYNCER_UPLOADS_PER_HOUR = environment.whole("BACKUP_SYNCER_UPLOADS_PER_HOUR", 240)
"""Uploads of one server in an hour; above it an upload is answered 429."""
BACKUP_SYNCER_UPLOAD_BYTES_PER_DAY = environment.whole("BACKUP_SYNCER_UPLOAD_BYTES_PER_DAY", 64 * GIB)
"""Compressed bytes of one server in a day; above it an upload is answered 429."""
BACKUP_SYNCER_RECORDS_BYTES = environment.whole("BACKUP_SYNCER_RECORDS_BYTES", 8 * GIB)
"""The most that one statement may announce as `records.bytes`: uncompressed bytes of one report."""
BACKUP_SYNCER_RECORDS = environment.whole("BACKUP_SYNCER_RECORDS", 40_000_000)
"""The most that one statement may announce as `records.count`: entries and notes of one report."""
BACKUP_SYNCER_ENTRIES_PER_DAY = environment.whole("BACKUP_SYNCER_ENTRIES_PER_DAY", 25_000_000)
"""New entries and notes of one server in a day, about 350 bytes of the database each. A report beyond is set aside."""
BACKUP_SYNCER_UPLOAD_IDLE_SECONDS = environment.whole("BACKUP_SYNCER_UPLOAD_IDLE_SECONDS", 30)
"""An upload that brings nothing for so long is answered 408."""
BACKUP_SYNCER_KEEP_UPLOADED_DAYS = environment.whole("BACKUP_SYNCER_KEEP_UPLOADED_DAYS", 7, at_least=0)
"""The uploaded bytes of a run are kept so many days after it was proven from the rows."""
BACKUP_SYNCER_VERIFY_SECONDS_PER_HOUR = environment.whole("BACKUP_SYNCER_VERIFY_SECONDS_PER_HOUR", 300)
"""Time in which older runs are proven again, in rotation."""
BACKUP_SYNCER_STATEMENT_SECONDS = environment.whole("BACKUP_SYNCER_STATEMENT_SECONDS", 600)
"""Time after which PostgreSQL cancels a statement of a worker."""

# --- security --------------------------------------------------------------------------------------------------------

DEBUG = False
_PUBLIC = urlsplit(BACKUP_SYNCER_PUBLIC_URL)
_HTTPS = _PUBLIC.scheme == "https"


def _secret_key() -> str:
    configured_key = environment.secret("SECRET_KEY")
    if configured_key:
        return configured_key

    try:
        return secret_key(BACKUP_SYNCER_STATE / "keys" / "secret_key")
    except OSError as error:
        raise ImproperlyConfigured(f"SECRET_KEY is not set and its file cannot be used: {error}") from error


SECRET_KEY = _secret_key()
ALLOWED_HOSTS = [*environment.words("BACKUP_SYNCER_ALLOWED_HOSTS"), _PUBLIC.hostname or ""]
if not _HTTPS:
    ALLOWED_HOSTS += ["127.0.0.1", "[::1]", "localhost"]
CSRF_TRUSTED_ORIGINS = [BACKUP_SYNCER_PUBLIC_URL]
BACKUP_SYNCER_BEHIND_PROXY = _HTTPS
"""The server itself speaks plain http on loopback, so https means that a proxy stands before it."""

SECURE_SSL_REDIRECT = _HTTPS
SECURE_HSTS_SECONDS = 0
if _HTTPS:
    SECURE_HSTS_SECONDS = environment.whole("BACKUP_SYNCER_HSTS_SECONDS", 31_536_000)
SECURE_HSTS_INCLUDE_SUBDOMAINS = _HTTPS
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
SECURE_REFERRER_POLICY = "same-origin"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = LANGUAGE_COOKIE_SECURE = _HTTPS
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = LANGUAGE_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = LANGUAGE_COOKIE_SAMESITE = "Lax"
# Named although they are Django's own: whoever can write the database must not choose what is unpickled.
SESSION_ENGINE = "django.contrib.sessions.backends.db"
SESSION_SERIALIZER = "django.contrib.sessions.serializers.JSONSerializer"
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
SESSION_COOKIE_AGE = environment.whole("BACKUP_SYNCER_SESSION_HOURS", 12) * 3600
X_FRAME_OPTIONS = "DENY"
# W021: whether a domain enters the browsers' preload list is for its owner to decide, it cannot be taken back quickly.
SILENCED_SYSTEM_CHECKS = ["security.W021"]

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "connect-src": ["'self'"],
        "font-src": ["'self'"],
        "form-action": ["'self'"],
        "img-src": ["'self'", "data:"],
        "frame-ancestors": ["'none'"],
        "base-uri": ["'none'"],
    }
}

AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
# Per name and address: a stranger who guesses at an account does not lock its owner out.
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_FAILURE_LIMIT = environment.whole("BACKUP_SYNCER_LOGIN_FAILURES", 5)
AXES_COOLOFF_TIME = timedelta(minutes=environment.whole("BACKUP_SYNCER_LOGIN_PAUSE_MINUTES", 15))
AXES_HANDLER = "backup_syncer.login_limits.LoginLimits"
AXES_LOCKOUT_TEMPLATE = "registration/locked.html"
AXES_RESET_ON_SUCCESS = True
AXES_VERBOSE = False
AXES_CLIENT_IP_CALLABLE = "backup_syncer.client_address.client_address"

BACKUP_SYNCER_LOGIN_FAILURES_PER_ADDRESS = environment.whole("BACKUP_SYNCER_LOGIN_FAILURES_PER_ADDRESS", 30)
BACKUP_SYNCER_LOGIN_FAILURES_IN_ALL = environment.whole("BACKUP_SYNCER_LOGIN_FAILURES_IN_ALL", 300)

LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "login"

# --- the application -------------------------------------------------------------------------------------------------

ROOT_URLCONF = "backup_syncer.urls"
WSGI_APPLICATION = "backup_syncer.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
FORM_RENDERER = "django.forms.renderers.DjangoTemplates"

INSTALLED_APPS = [
    "backup_syncer.apps.WiringConfig",
    "scanner.apps.ScannerConfig",
    "checker.apps.CheckerConfig",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "backup_syncer.apps.QueueConfig",
    "django_htmx",
    "bootstrap",
    "ninja",
    "csp",
    "backup_syncer.apps.LoginsConfig",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "backup_syncer.middleware.refuse_nul_in_admin",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "axes.middleware.AxesMiddleware",
]

TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [bundled("templates")],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.i18n",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

DATABASES = {
    "default": dj_database_url.parse(
        environment.secret("DATABASE_URL") or embedded_url(BACKUP_SYNCER_STATE),
        conn_max_age=60,
        conn_health_checks=True,
    )
}
if DATABASES["default"]["ENGINE"] != "django.db.backends.postgresql":
    raise ImproperlyConfigured("DATABASE_URL: only PostgreSQL will do (postgresql://user:password@host/name)")
DATABASE_ROUTERS = ["scanner.queue.router.ClosedTables"]

# Nothing waits inside a process (waiting counts against `retry`), and the queue never repeats a task by itself: a task
# is only the wake-up for a row, and rows count their own attempts.
Q_CLUSTER = {
    "name": "backup_syncer",
    "label": _("Background tasks"),
    # Tasks come from a list in code, and rows of the queue are JSON: see scanner/queue.
    "broker_class": "scanner.queue.broker.ListedTaskBroker",
    "scheduler": False,
    "orm": "default",
    # One of them is always free for ingest: see scanner/queue/judging.py.
    "workers": environment.whole("BACKUP_SYNCER_WORKERS", 3),
    # As many as there are workers: what waits, waits in the table.
    "queue_limit": environment.whole("BACKUP_SYNCER_WORKERS", 3),
    "bulk": 1,
    "timeout": 3600,
    # Longer than the timeout, or a task that still runs would be handed out again.
    "retry": 3900,
    "ack_failures": True,
    "recycle": 200,
    "max_rss": 1_500_000,
    "poll": 0.5,
    "guard_cycle": 1,
}

# --- language and time -----------------------------------------------------------------------------------------------

LANGUAGES = [("en", "English"), ("ru", "Русский")]
LANGUAGE_CODE = environment.one_of("BACKUP_SYNCER_LANGUAGE", "en", frozenset({"en", "ru"}))
LOCALE_PATHS = [PACKAGE / "locale"]
USE_I18N = True
USE_TZ = True
TIME_ZONE = environment.time_zone("BACKUP_SYNCER_TIME_ZONE", "UTC")

# --- files -----------------------------------------------------------------------------------------------------------

STATIC_URL = "/static/"
STATIC_ROOT = BACKUP_SYNCER_STATE / "static"
STORAGES = {
    "default": {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": str(BACKUP_SYNCER_STATE / "media")},
    },
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
    "reports": {
        "BACKEND": "scanner.ingest.storage.DurableStorage",
        "OPTIONS": {"location": str(BACKUP_SYNCER_STATE / "reports")},
    },
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"}},
    "filters": {"brief": {"()": "backup_syncer.log_filters.BriefRefusals"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["brief"]}},
    # Anybody can cause this one without logging in, as often as they like.
    "loggers": {"django.security.DisallowedHost": {"level": "CRITICAL"}},
    "root": {
        "handlers": ["stderr"],
        "level": environment.one_of(
            "BACKUP_SYNCER_LOG_LEVEL", "INFO", frozenset({"DEBUG", "INFO", "WARNING", "ERROR"})
        ),
    },
}
