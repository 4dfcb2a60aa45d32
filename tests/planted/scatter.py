"""Change the copies of a group in four nights, by a seed, and expect a divergence for each path."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tests.disk_image import BLOCK, DiskImage
from tests.planted.copies import Copies, Roles


class Scatter(Copies):
    """Three trees with all that happens to them in four nights; `night` does what happens before the runs of one."""

    def __init__(self, images: list[DiskImage], seed: int) -> None:
        super().__init__(images, seed)
        self.garden.reserve(3)
        self.later: list[Callable[[], None]] = []
        self.older: list[tuple[str, bytes, int]] = []

    def before_the_first(self) -> None:
        """Make differences that exist before the first run."""
        self.doing = "same time since the first run, 2 : 1"
        for _ in range(2):
            name, roles = self.take()
            self.damage(roles[0], name)
            self.expect(name, roles, "mismatch", "+++", "dgg")
        self.doing = "same time since the first run, 1 : 1 : 1"
        name, roles = self.take()
        for position in roles[:2]:
            self.damage(position, name)
        self.expect(name, roles, "mismatch", "+++", "uuu")
        self.doing = "same time since the first run, 1 : 1"
        name, roles = self.take()
        self.damage(roles[0], name)
        self.path(roles[2], name).unlink()
        self.expect(name, roles, "mismatch", "++-", "uu ")
        self.doing = "other time since the first run, 2 : 1"
        name, roles = self.take()
        self.edit(roles[0], name)
        self.expect(name, roles, "mismatch", "+++", "ugg")
        self.doing = "other times since the first run, 1 : 1 : 1"
        name, roles = self.take()
        self.edit(roles[0], name)
        self.edit(roles[1], name, 3)
        self.expect(name, roles, "mismatch", "+++", "uuu")
        self._outlier_then_edit()
        self._outlier_that_spreads()

    def _outlier_then_edit(self) -> None:
        """Edit one copy where another was outvoted from the start: it is newer than the third, and the first stays
        damaged."""
        name, (a, b, c) = self.take()
        self.doing = "same time since the first run, 2 : 1, edited later"
        self.damage(a, name)
        self.expect(name, [a, b, c], "mismatch", "+++", "dgg")

        def edited() -> None:
            self.doing = "same time since the first run, edited on one of two"
            self.edit(b, name)
            self.expect(name, [a, b, c], "mismatch", "+++", "dno")
            self.later.append(synced)

        def synced() -> None:
            self.doing = "other time since the first run, the others edited"
            self.sync(b, c, name)
            self.expect(name, [a, b, c], "mismatch", "+++", "dnn")

        self.later.append(edited)

    def _outlier_that_spreads(self) -> None:
        """Copy content that was outvoted from the beginning: it stays damaged, wherever it is copied."""
        name, (a, b, c) = self.take()
        self.doing = "same time since the first run, 2 : 1, spread later"
        self.damage(a, name)
        self.expect(name, [a, b, c], "mismatch", "+++", "dgg")

        def spread() -> None:
            self.doing = "same time since the first run, spread to a second"
            self.sync(a, b, name)
            self.expect(name, [a, b, c], "mismatch", "+++", "ddg")

        self.later.append(spread)

    def edits_for_all(self) -> None:
        """Honest edits that all get, so that there are earlier versions."""
        for _ in range(3):
            name, roles = self.take()
            path = self.path(roles[0], name)
            self.older.append((name, path.read_bytes(), path.stat().st_mtime_ns))
            self.edit(roles[0], name)
            for position in roles[1:]:
                self.sync(roles[0], position, name)

    def scatter(self) -> None:
        """One or more of each kind."""
        due = self.later
        self.later = []
        for act in due:
            act()
        self._damaged()
        self._damaged_and_more()
        self._edited()
        self._absent()
        self._moved()
        self._unreadable()
        self._alike()

    def spread(self) -> None:
        """The night after: what sync tools make of it."""
        due = self.later
        self.later = []
        for act in due:
            act()

    def mend(self) -> None:
        """Copy one source to all: what is damaged there is damaged everywhere now."""
        source = self.dice.randrange(3)
        self.left_damaged = {name for name, position in self.broken if position == source}
        self.expected = {}
        self.broken = set()
        for position in {0, 1, 2} - {source}:
            shutil.rmtree(self.roots[position])
            shutil.copytree(self.roots[source], self.roots[position], symlinks=True)

    # damage

    def _damaged(self) -> None:
        # What was written with its time kept may be an edit: nobody can tell.
        for how, word, judged, judged_spread in (
            (self.beneath, "beneath", "dgg", "ddg"),
            (self.damage, "written, time kept", "uuu", "uuu"),
        ):
            self.doing = f"damaged {word}"
            for _ in range(3):
                name, roles = self.take()
                how(roles[0], name)
                self.expect(name, roles, "mismatch", "+++", judged)
            for times in (True, False):
                name, roles = self.take()
                how(roles[0], name)
                self.expect(name, roles, "mismatch", "+++", judged)
                self.later.append(partial(self._spread, name, roles, times, judged_spread))
            name, roles = self.take()
            how(roles[0], name)
            self.expect(name, roles, "mismatch", "+++", judged)
            self.later.append(partial(self._restored, name, roles))

    def _spread(self, name: str, roles: Roles, times: bool, judged: str) -> None:
        self.doing = "damage spread to a second" + ("" if times else ", with the time of now")
        self.sync(roles[0], roles[1], name, times=times)
        self.expect(name, roles, "mismatch", "+++", judged)

    def _restored(self, name: str, roles: Roles) -> None:
        self.sync(roles[1], roles[0], name)
        self.agree(name)

    def _damaged_and_more(self) -> None:
        self.doing = "damaged beneath on two, each in its own way"
        name, roles = self.take()
        for position in roles[:2]:
            self.path(position, name)
            self.images[position].flip_bit(self.path(position, name), self.dice.randrange(BLOCK), position)
            self.broken.add((name, position))
        self.expect(name, roles, "mismatch", "+++", "ddg")
        self.doing = "damaged beneath on one, edited on another"
        name, roles = self.take()
        self.beneath(roles[0], name)
        self.edit(roles[1], name)
        self.expect(name, roles, "mismatch", "+++", "dno")
        self.doing = "damaged beneath on one, lost on another"
        name, roles = self.take()
        self.beneath(roles[0], name)
        self.path(roles[2], name).unlink()
        self.expect(name, roles, "mismatch", "++-", "dg ")
        self.later.append(partial(self._came_back_damaged, name, roles))
        self.doing = "written on one, time kept, spread to a second, edited on the third"
        name, roles = self.take()
        self.damage(roles[0], name)
        self.sync(roles[0], roles[1], name, times=self.dice.random() < 0.5)
        self.edit(roles[2], name)
        self.expect(name, roles, "mismatch", "+++", "uuu")
        self.doing = "written apart on all, time kept"
        name, roles = self.take()
        for position in roles:
            self.damage(position, name)
        self.expect(name, roles, "mismatch", "+++", "uuu")

    def _came_back_damaged(self, name: str, roles: Roles) -> None:
        self.doing = "lost, and brought back from the damaged copy"
        self.sync(roles[0], roles[2], name)
        self.expect(name, roles, "mismatch", "+++", "dgd")

    # versions

    def _edited(self) -> None:
        self.doing = "edited on one"
        for _ in range(2):
            name, roles = self.take()
            self.edit(roles[0], name)
            self.expect(name, roles, "mismatch", "+++", "noo")
        for then, judged in (
            (self._to_one_of_two, "nno"),
            (self._edited_again, "noo"),
            (self._edit_damaged, "uuo"),
            (self._only_edit_damaged, "uoo"),
        ):
            name, roles = self.take()
            self.edit(roles[0], name)
            self.expect(name, roles, "mismatch", "+++", "noo")
            self.later.append(partial(then, name, roles, judged))
        self.doing = "edited apart on two"
        name, roles = self.take()
        self.edit(roles[0], name)
        self.edit(roles[1], name)
        self.expect(name, roles, "mismatch", "+++", "uuo")
        self.doing = "edited, with an earlier time than before"
        name, roles = self.take()
        self.edit(roles[0], name, 2)
        self.expect(name, roles, "mismatch", "+++", "uuu")
        self.doing = "an older version put back"
        for name, content, mtime_ns in self.older:
            roles = self.dice.sample(range(3), 3)
            back = roles[: self.dice.randrange(1, 3)]
            for position in back:
                self.path(position, name).write_bytes(content)
                os.utime(self.path(position, name), ns=(mtime_ns, mtime_ns))
            self.expect(name, roles, "mismatch", "+++", "ooo"[: len(back)] + "nnn"[len(back) :])
        # No longer a file: it is never newer than one.
        self.doing = "a link in the place of a file"
        name, roles = self.take()
        self.path(roles[0], name).unlink()
        self.path(roles[0], name).symlink_to("elsewhere")
        self.expect(name, roles, "mismatch", "+++", "uuu")

    def _to_one_of_two(self, name: str, roles: Roles, judged: str) -> None:
        self.doing = "an edit that came to one of two"
        self.sync(roles[0], roles[1], name, times=self.dice.random() < 0.5)
        self.expect(name, roles, "mismatch", "+++", judged)

    def _edited_again(self, name: str, roles: Roles, judged: str) -> None:
        self.doing = "edited again, and the first edit came to one of two"
        self.sync(roles[0], roles[1], name)
        self.edit(roles[0], name)
        self.expect(name, roles, "mismatch", "+++", judged)

    def _edit_damaged(self, name: str, roles: Roles, judged: str) -> None:
        """On the first of three nights it came, on the second it is damaged."""
        self.sync(roles[0], roles[1], name)
        self.expect(name, roles, "mismatch", "+++", "nno")

        def damaged() -> None:
            self.doing = "an edit that came to one of two, and was damaged there"
            self.damage(roles[1], name)
            self.expect(name, roles, "mismatch", "+++", judged)

        self.later.append(damaged)

    def _only_edit_damaged(self, name: str, roles: Roles, judged: str) -> None:
        """Nobody holds the whole edit any more; then its damage is spread."""
        self.doing = "an edit that is nowhere else, written with its time kept"
        self.damage(roles[0], name)
        self.expect(name, roles, "mismatch", "+++", judged)

        def spread() -> None:
            self.doing = "an edit that is nowhere else, written with its time kept, and spread to a second"
            self.sync(roles[0], roles[1], name, times=self.dice.random() < 0.5)
            self.expect(name, roles, "mismatch", "+++", "uuo")

        self.later.append(spread)

    # what is not everywhere

    def _absent(self) -> None:
        for number in (1, 2):
            self.doing = f"lost on {number}"
            for _ in range(2):
                name, roles = self.take()
                for position in roles[:number]:
                    self.path(position, name).unlink()
                self.expect(name, roles, "lost", "--+" if number == 2 else "-++")
            self.doing = f"new on {number}"
            name = f"new-on-{number}"
            roles = self.dice.sample(range(3), 3)
            content = self.dice.randbytes(5000)
            for position in roles[:number]:
                self.path(position, name).write_bytes(content)
            self.expect(name, roles, "lost", "++-" if number == 2 else "+--")
        self.doing = "a second copy on one"
        name, roles = self.take()
        shutil.copy2(self.path(roles[0], name), self.path(roles[0], f"{name}~copy"))
        self.expect(f"{name}~copy", roles, "lost", "+--")
        self.doing = "the damaged copy alone is left"
        name, roles = self.take()
        self.beneath(roles[0], name)
        self.expect(name, roles, "mismatch", "+++", "dgg")
        self.later.append(partial(self._alone, name, roles))

    def _alone(self, name: str, roles: Roles) -> None:
        self.doing = "the damaged copy alone is left"
        for position in roles[1:]:
            self.path(position, name).unlink()
        self.expect(name, roles, "lost", "+--")

    def _moved(self) -> None:
        for number in (1, 2):
            self.doing = f"moved on {number}"
            for new in ("renamed-", "elsewhere/renamed-"):
                name, roles = self.take()
                target = f"{new}{Path(name).name}"
                if "/" not in new:
                    target = (Path(name).parent / target).as_posix()
                for position in roles[:number]:
                    self.path(position, target).parent.mkdir(exist_ok=True)
                    self.path(position, name).rename(self.path(position, target))
                self.expect(name, roles, "moved", ">>+" if number == 2 else ">++")
                self.expect(target, roles, "moved", "++>" if number == 2 else "+>>")
        self.doing = "a directory renamed on one"
        directory = self.garden.reserved[0]
        roles = self.dice.sample(range(3), 3)
        for path in sorted(directory.rglob("*")):
            if path.is_dir() and not path.is_symlink():
                continue
            kind, gone = ("moved", ">") if not path.is_symlink() and path.stat().st_size else ("lost", "-")
            self.expect(self.garden.name(path), roles, kind, f"{gone}++")
            self.expect(f"renamed/{path.relative_to(directory).as_posix()}", roles, kind, f"+{gone}{gone}")
        self.path(roles[0], self.garden.name(directory)).rename(self.path(roles[0], "renamed"))

    def _unreadable(self) -> None:
        self.wrecked: list[tuple[int, int]] = []
        self.doing = "a file that cannot be read on one"
        name, roles = self.take()
        self._wreck(roles[0], name)
        self.expect(name, roles, "unknown", "!++")
        self.doing = "a file that cannot be read on one, damaged on another"
        name, roles = self.take()
        self._wreck(roles[0], name)
        self.beneath(roles[1], name)
        self.expect(name, roles, "mismatch", "!++", " dg")
        self.doing = "a directory that cannot be read on one"
        directory = self.garden.reserved[1]
        roles = self.dice.sample(range(3), 3)
        for path in sorted(directory.rglob("*")):
            if path.is_symlink() or not path.is_dir():
                self.expect(self.garden.name(path), roles, "unknown", "?++")
        name = self.garden.name(directory)
        self._wreck(roles[0], name)
        self.expect(name, roles, "unknown", "!..")

    def _wreck(self, position: int, name: str) -> None:
        self.wrecked.append((position, self.images[position].toggle_readable(self.path(position, name))))

    def unwreck(self) -> None:
        """Make readable again what could not be read."""
        for position, inode in self.wrecked:
            self.images[position].toggle_inode_readable(inode)

    def _alike(self) -> None:
        """Make changes that are no divergence: times, rights, owners, and a write of all with the time kept."""
        for act in (os.utime, lambda path: path.chmod(0o640), lambda path: os.chown(path, 7, 7)):
            name, roles = self.take()
            act(self.path(roles[0], name))
            self.agree(name)
        name, roles = self.take()
        content = self.damage(roles[0], name)
        for position in roles[1:]:
            self.rewrite(position, name, content)
        self.agree(name)
