"""Declare damaged contents good, or withdraw that, for the pages that offer it."""

from __future__ import annotations

from typing import cast

from django.contrib import messages
from django.contrib.auth.models import User
from django.http import Http404, HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from checker.findings import declarations
from checker.findings.actions import ActionRefused
from checker.forms import ContentForm
from checker.jobs import group_comparisons
from scanner.models import Group

DONE_MESSAGES = {
    "declare-good": gettext_lazy("The content has been declared good. The copies are compared again."),
    "withdraw": gettext_lazy("The declaration has been withdrawn. The copies are compared again."),
}


def decide(request: HttpRequest, group: Group, path: str, act: str) -> None:
    """Declare a content of a path good, or withdraw that, and compare the copies again. Say what was done, or why not.

    Raise Http404 for any other act.
    """
    if act not in DONE_MESSAGES:
        raise Http404
    form = ContentForm(request.POST)
    if not form.is_valid():
        messages.error(request, _("Enter a reason. It stays in the audit log."))
        return

    user = cast(User, request.user)
    content = form.cleaned_data["content"]
    reason = form.cleaned_data["reason"]
    try:
        if act == "declare-good":
            declarations.declare_good(group, path, content, user, reason)
        else:
            declarations.withdraw(group, path, content, user, reason)
    except ActionRefused as refused:
        messages.error(request, str(refused))
        return

    # What the page says next must follow from it.
    group_comparisons.compare_again(group)
    messages.success(request, DONE_MESSAGES[act])
