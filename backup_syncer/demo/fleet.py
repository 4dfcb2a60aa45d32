"""Tell a fortnight of a small fleet: eight servers, five groups, and what goes wrong on them."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone

from backup_syncer.demo.collector import DemoCollector
from backup_syncer.demo.tree import DemoTree
from checker import tasks as checker_tasks
from scanner.ingest import worker
from scanner.models import Group, Replica, Run, Server

SEED = 2026
NIGHTS = 8
EVERY_NIGHT = range(NIGHTS)
KIB = 2**10
MIB = 2**20
GIB = 2**30

SERVERS = {
    "alpha.example.net": ("Linux", "ext4"),
    "beta.example.net": ("FreeBSD", "zfs"),
    "gamma.example.net": ("Linux", "xfs"),
    "delta.example.net": ("OpenBSD", "ffs"),
    "epsilon.example.net": ("SunOS", "zfs"),
    "zeta.example.net": ("Darwin", "apfs"),
    "eta.example.net": ("Linux", "btrfs"),
    "theta.example.net": ("Linux", "ext4"),
}
"""Name → operating system and file system."""


@dataclass
class DemoReplica:
    """A replica, its tree, and the collector that reports it."""

    replica: Replica
    tree: DemoTree
    collector: DemoCollector
    nights: range
    """Nights in which the collector runs; they count down, 0 is the last one."""


class DemoFleet:
    """The fleet while it is being made. `report_progress` gets one line for each night."""

    def __init__(self, report_progress: Callable[[str], None]) -> None:
        self._report_progress = report_progress
        # Seeded: each demo is the same, down to the sizes.
        self._generator = random.Random(SEED)
        self._newest_night = timezone.now() - timedelta(hours=2)
        self._collectors: dict[str, DemoCollector] = {}
        self._replicas: dict[str, DemoReplica] = {}

    def make(self) -> int:
        """Make all rows, night after night. Return the number of runs."""
        self._make_servers()
        self._make_photos()
        self._make_documents()
        self._make_mail()
        self._make_dumps()
        self._make_projects()

        for night in reversed(range(NIGHTS)):
            self._live_through(night)
            run_count = self._run_collectors(night)
            self._report_progress(f"night {NIGHTS - night} of {NIGHTS}: {run_count} runs ingested, compared, verified")
        return Run.objects.count()

    # --- who is there ------------------------------------------------------------------------------------------------

    def _make_servers(self) -> None:
        for name, (system, filesystem) in SERVERS.items():
            server = Server.objects.create(name=name, last_seen_at=self._newest_night)
            collector = DemoCollector(server, system, filesystem)
            collector.enrol()
            self._collectors[name] = collector

    def _make_photos(self) -> None:
        """Make a mirror of three that may only grow: damage on beta, files missing on gamma."""
        group = Group.objects.create(name="Photos", note="Family archive since 2009.", policy=Group.Policy.APPEND_ONLY)
        tree = DemoTree()
        for year in range(2016, 2027):
            for number in range(1, 25):
                taken_at = self._moment(days=20 + 365 * (2026 - year) + number)
                tree.add(f"{year}/IMG_{year % 100}{number:03}.jpg", self._size(2 * MIB, 9 * MIB), taken_at)
        tree.add("2019/Отпуск/море.mov", 1_840 * MIB, self._moment(days=2500))

        for server, root in (("alpha", "/srv/photos"), ("beta", "/tank/photos"), ("gamma", "/srv/backup/photos")):
            self._add_replica(f"photos@{server}", group, server, root, tree.copy())

    def _make_documents(self) -> None:
        """Make a mirror of two with daily edits; on eta most files are encrypted in the last night."""
        group = Group.objects.create(name="Documents", note="Office share.", excludes="*.tmp\n~$*\n")
        tree = DemoTree()
        for directory in ("contracts", "invoices/2025", "invoices/2026", "personnel", "plans"):
            for number in range(1, 31):
                tree.add(f"{directory}/{number:04}.pdf", self._size(40 * KIB, 3 * MIB), self._moment(days=30 + number))

        self._add_replica("documents@alpha", group, "alpha", "/srv/documents", tree.copy(), range(6))
        self._add_replica("documents@eta", group, "eta", "/srv/documents", tree.copy(), range(6))

    def _make_mail(self) -> None:
        """Make a primary with a follower that lags, and whose root is not mounted in one night."""
        group = Group.objects.create(
            name="Mail archive", relation=Group.Relation.PRIMARY, lag=timedelta(days=1), policy=Group.Policy.APPEND_ONLY
        )
        tree = DemoTree()
        for month in range(1, 11):
            tree.add(f"2026-{month:02}.mbox", self._size(200 * MIB, 900 * MIB), self._moment(days=330 - 30 * month))

        self._add_replica("mail@alpha", group, "alpha", "/var/archive/mail", tree.copy(), range(5))
        self._add_replica("mail@delta", group, "delta", "/backup/mail", tree.copy(), range(5))
        Replica.objects.filter(pk=self._replicas["mail@alpha"].replica.pk).update(leads=True)

    def _make_dumps(self) -> None:
        """Make rotating dumps, one of them unfinished in the last night, and a replica whose server has never run."""
        group = Group.objects.create(
            name="Database dumps", policy=Group.Policy.ROTATING, keep_days=14, note="pg_dump of the shop, each night."
        )
        tree = DemoTree()
        for days in range(NIGHTS, NIGHTS + 14):
            self._add_dump(tree, days)

        self._add_replica("dumps@gamma", group, "gamma", "/srv/dumps", tree, range(6))
        self._add_replica("dumps@theta", group, "theta", "/srv/dumps", DemoTree(), range(0))

    def _make_projects(self) -> None:
        """Make replicas that each keep a part; one has an unreadable file, one is late."""
        group = Group.objects.create(name="Projects", relation=Group.Relation.SUBSET)
        tree = DemoTree()
        for project in ("bridge", "harbour", "tower"):
            for number in range(1, 41):
                path = f"{project}/drawings/{number:03}.dwg"
                tree.add(path, self._size(500 * KIB, 20 * MIB), self._moment(days=90 + number))
        part = DemoTree({path: file for path, file in tree.files.items() if path.startswith("bridge/")})

        self._add_replica("projects@epsilon", group, "epsilon", "/export/projects", tree, range(5))
        self._add_replica("projects@zeta", group, "zeta", "/Users/Shared/projects", part, range(3, 7))
        Replica.objects.filter(pk=self._replicas["projects@zeta"].replica.pk).update(keeps="/bridge/\n")

    def _add_replica(
        self,
        key: str,
        group: Group,
        server: str,
        root: str,
        tree: DemoTree,
        nights: range = EVERY_NIGHT,
    ) -> None:
        collector = self._collectors[f"{server}.example.net"]
        replica = Replica.objects.create(group=group, server=collector.server, root=root)
        self._replicas[key] = DemoReplica(replica, tree, collector, nights)

    # --- what happens ------------------------------------------------------------------------------------------------

    def _live_through(self, night: int) -> None:
        """Change the trees as the day before this night did."""
        photos = [self._replicas[f"photos@{server}"].tree for server in ("alpha", "beta", "gamma")]
        documents = [self._replicas[f"documents@{server}"].tree for server in ("alpha", "eta")]
        mail, mail_copy = (self._replicas[f"mail@{server}"].tree for server in ("alpha", "delta"))
        dumps = self._replicas["dumps@gamma"].tree

        new_photo_size = self._size(2 * MIB, 9 * MIB)
        for tree in photos:
            tree.add(f"2026/November/IMG_{9000 - night}.jpg", new_photo_size, self._moment(days=night + 1))

        edited = self._generator.sample(range(1, 31), 3)
        for number in edited:
            size = self._size(40 * KIB, 3 * MIB)
            for tree in documents:
                tree.add(f"invoices/2026/{number:04}.pdf", size, self._moment(days=night + 1, hours=-5))

        self._add_dump(dumps, night)
        self._drop_oldest_dump(dumps)

        if night == 4:
            for tree in documents:
                for number in range(1, 11):
                    tree.move(f"plans/{number:04}.pdf", f"plans/2026/{number:04}.pdf")
        if night == 3:
            mail.add("2026-11.mbox", 310 * MIB, self._moment(days=night + 1))
            mail_copy.add("2026-11.mbox", 310 * MIB, self._moment(days=night + 1))
        if night == 2:
            photos[1].damage("2019/IMG_19007.jpg")
            self._replicas["projects@epsilon"].tree.unreadable["tower/drawings/017.dwg"] = "EIO"
        if night == 1:
            for number in (4, 5, 6):
                photos[2].remove(f"2021/IMG_21{number:03}.jpg")
        if night == 0:
            # The dump of this night is still being written: a file that changes during each read is not read.
            dumps.unreadable["shop.dump.part"] = "ECHANGED"
            documents[1].encrypt(self._moment(days=0, hours=-1), self._generator, share=0.7)
            mail.add("2026-12.mbox", 12 * MIB, self._moment(days=0, hours=-3))

    def _run_collectors(self, night: int) -> int:
        """Send the runs of one night and do all that follows from them. Return the number of runs."""
        finished_at = self._newest_night - timedelta(days=night)
        run_ids = []
        for key, member in self._replicas.items():
            if night not in member.nights:
                continue

            finished_at += timedelta(minutes=3)
            if key == "mail@delta" and night == 1:
                run = member.collector.send_failed_run(member.replica, "root missing", finished_at)
            else:
                run = member.collector.send_run(member.replica, member.tree, finished_at)

            # The pages say when a report arrived: the night it was sent, not the minute in which the demo was made.
            Run.objects.filter(pk=run.pk).update(received_at=finished_at + timedelta(seconds=20))
            run_ids.append(run.pk)

        # What the task cluster would do. Groups last: they are compared by runs that are proven.
        worker.ingest_waiting()
        checker_tasks.compare_new()
        checker_tasks.verify_new()
        checker_tasks.compare_groups()
        return len(run_ids)

    def _add_dump(self, tree: DemoTree, days: int) -> None:
        made_at = self._moment(days=days, hours=-1)
        tree.add(f"shop-{made_at:%Y-%m-%d}.sql.zst", self._size(2 * GIB, 3 * GIB), made_at)

    def _drop_oldest_dump(self, tree: DemoTree) -> None:
        oldest = min(tree.files)
        if len(tree.files) > 15:
            tree.remove(oldest)

    def _moment(self, days: int, hours: int = -12) -> datetime:
        """Return the moment some hours before the run of the night that many days before the newest one."""
        return (self._newest_night - timedelta(days=days) + timedelta(hours=hours)).replace(microsecond=0)

    def _size(self, least: int, most: int) -> int:
        return self._generator.randrange(least, most)
