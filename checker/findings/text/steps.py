"""Advise what to do next, as far as several kinds of findings advise the same."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

RESTORE_FILE = _(
    "Compare with the other replicas of the group and restore the file from a copy that has the old content."
)
CHECK_DISK = _("Check the disk before you trust it again: SMART values, kernel messages, a file system scrub.")
ACCEPT_IF_YOURS = _("If you or a program that you trust did this, accept the finding and note why.")
FIND_WHO_CHANGED_IT = _("Find out who made the change. If nobody did, restore the data from another replica.")
CHECK_RIGHTS = _(
    "Check the permissions of the file and its directories, or run the collector as a user who may read them."
)
READ_SNAPSHOT = _(
    "Exclude the file, or let the collector read a snapshot or a dump of it: the file of a live database is "
    "not a backup."
)
STOP_COPYING = _(
    "Stop everything that copies from this replica until you have checked it: a sync would spread the change."
)
RESTORE_IF_NOT_MEANT = _(
    "Find out who made the change. If it was not intended, restore the data: the run that finds all contents as they "
    "were before ends the hold by itself."
)
PREVENT_REPETITION = _("Find out what made the change, so that it does not come again.")
RELEASE_IF_MEANT = _("If the change was intended, release the replica and note why; until then it stays on hold.")
UNDO_IF_WRONG = _("Nothing, if the release was right. Otherwise undo it, and the replica goes on hold again.")
CHECK_PRODUCER = _("Check what creates these files: no new file arrived in time.")
CHECK_MOUNT = _("Check on the server whether the file system with the data is mounted, and whether the root is right.")
ACCEPT_IF_EMPTY = _("If it is empty on purpose, accept the finding and note why; the replica then counts as it is.")
UNMOUNT_OR_ENTER = _(
    "Unmount what hides the files. If the mounted file system belongs to the data, let the group enter mount points, "
    "or make it a replica of its own."
)
ACCEPT_IF_MOUNT_STAYS = _(
    "If the mount stays and the files beneath it do not matter, accept the finding and note why. The replica stays "
    "*incomplete (accepted)*."
)
