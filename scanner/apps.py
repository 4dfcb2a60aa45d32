"""The Django application that holds what servers send."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class ScannerConfig(AppConfig):
    name = "scanner"
    verbose_name = _("Servers and runs")
    default_auto_field = "django.db.models.BigAutoField"
