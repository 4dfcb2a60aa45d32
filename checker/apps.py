"""The Django application that says what is wrong."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class CheckerConfig(AppConfig):
    name = "checker"
    verbose_name = _("Proofs")
    default_auto_field = "django.db.models.BigAutoField"
