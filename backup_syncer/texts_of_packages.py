"""Name texts of Django and Axes that the project's own catalogue translates.

Their Russian titles put the nominative where the sentence needs another case ("Add %s"), or are missing. The project's
catalogue is asked first, so a text that is marked here is translated there.
"""

from __future__ import annotations

from django.utils.translation import gettext_noop as _

ADMIN = (
    _("Select %s"),
    _("Select %s to change"),
    _("Select %s to view"),
    _("Add %s"),
    _("Change %s"),
    _("View %s"),
    _("Add %(name)s"),
    _("Add another %(verbose_name)s"),
    _(
        'Are you sure you want to delete the %(object_name)s "%(escaped_object)s"? All of the following related '
        "items will be deleted:"
    ),
)
AXES = (
    _("access attempt"),
    _("access attempts"),
    _("access attempt expiration"),
    _("access attempt expirations"),
    _("access failure"),
    _("access failures"),
    _("access log"),
    _("access logs"),
    _("Access Attempt"),
    _("Access lock out"),
    _("Attempt Remaining"),
    _("Clean up expired attempts"),
    _("Expires At"),
    _("HTTP Accept"),
    _("IP Address"),
    _("Locked Out"),
    _("Not set"),
    _("Session key hash (sha256)"),
    _("The time when access attempt expires and is no longer valid."),
    _("User Agent"),
)
