"""Checks report files of backup_syncer by a second implementation of their format, which README_eng.md describes."""

from __future__ import annotations

import argparse
import base64
import gzip
import hashlib
import json
import os
import re
import sys
import zlib
from datetime import datetime
from pathlib import Path
from stat import S_ISBLK, S_ISCHR, S_ISDIR, S_ISFIFO, S_ISLNK, S_ISREG, S_ISSOCK
from typing import Any

TYPE, KIB = "application/vnd.backup-syncer.run.v1+json", 1024
# Canonical JSON as regular expressions: text that is Unicode without NUL, numbers, and what a note may hold.
PLAIN, ESCAPE = r'[^"\\\x00-\x1f\ud800-\udfff]*', r'\\(?:["\\bfnrt]|u00(?:0[1-7bef]|1[0-9a-f]))'
TEXT, NATURAL, INTEGER = rf'"(?!"){PLAIN}(?:{ESCAPE}{PLAIN})*"', "(?:0|[1-9][0-9]{0,18})", "(?:0|-?[1-9][0-9]{0,18})"
VALUE = rf'(?:""|{TEXT}|{INTEGER}|true|false)'
HEX64, HEX128, UUID = '"[0-9a-f]{64}"', '"[0-9a-f]{128}"', '"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"'
TIME = r'"2[01][0-9]{2}(?:-[0-9]{2}){2}T[0-9]{2}(?::[0-9]{2}){2}\.[0-9]{6}Z"'
BASE64 = '"((?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?)"'
ENVELOPE = rf'{{"payloadType":"([^"]*)","payload":{BASE64},"signatures":\[{{"keyid":"([^"]*)","sig":{BASE64}}}\]}}\n'
ENTRY = re.compile(
    rf'{{"path":{TEXT},(?:"size":{NATURAL},"mtime_ns":{INTEGER},"mode":{NATURAL},"uid":{NATURAL},"gid":{NATURAL},'
    rf'"sha256":{HEX64},"md5":"[0-9a-f]{{32}}"(?:,"hardlink":{TEXT})?|"link":{TEXT}|'
    r'"error":"E[A-Z0-9]{1,30}","stage":"(?:list|stat|open|read)"|"special":"(?:fifo|socket|block|char|mount)")}\n'
)
NOTE = re.compile(
    rf'{{"note":"(?:confirmed|misread|vanished|skipped|clock)","path":{TEXT}'
    rf'(?:,(?:""|{TEXT}):(?:{VALUE}|\[(?:{VALUE}(?:,{VALUE})*)?\]))*}}\n'
)
RULES = dict.fromkeys(("run", "server", "replica", "group"), UUID)
RULES |= {"root": TEXT, "sequence": NATURAL, "previous": f"null|{HEX128}", "break": f"null|{TEXT}", "base": "null"}
RULES |= {"started_at": TIME, "finished_at": TIME, "work_time_ns": NATURAL, "outcome": '"complete"|"failed"'}
RULES |= {"reason": f"null|{TEXT}", "mode": '"full"', "engine": "{.*}", "algorithms": r'\["sha256","md5"\]'}
RULES |= {"collector": "{.*}", "host": "{.*}", "config": HEX128, "files": NATURAL, "bytes": NATURAL, "errors": NATURAL}
RECORDS = rf'{{"count":{NATURAL},"bytes":{NATURAL},"sha3_512":{HEX128},"blocks":\[(?:{HEX64}(?:,{HEX64})*)?\]}}'
RULES |= {"content": HEX128, "records": RECORDS}
WITHIN = {"engine": "name wanted why tools", "collector": "version python", "host": "system release boot_id filesystem"}
BELOW = {"size": 2**63, "mtime_ns": 2**63, "mode": 2**31, "uid": 2**32, "gid": 2**32}
KINDS = {"fifo": S_ISFIFO, "socket": S_ISSOCK, "block": S_ISBLK, "char": S_ISCHR, "mount": S_ISDIR}
P, Y8 = 2**255 - 19, 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7
FOUND = {0}  # what was met: 0 it holds, 1 it does not, 2 it could not be looked at


class Wrong(Exception):
    """Something does not hold; the message says what."""


def say(text: str, code: int = 0) -> None:
    """Tell what was found; names from a report or a disk are never obeyed."""
    FOUND.add(code)
    text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    line = ("", "WRONG: ", "NOT CHECKED: ")[code] + text + "\n"
    sys.stdout.buffer.write(line.encode(sys.stdout.encoding, "backslashreplace"))


def _need(held: Any, text: str) -> None:
    if not held:
        raise Wrong(text)


def _canonical(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _encode(name: bytes) -> str:
    return name.replace(b"\\", b"\\\\").decode("utf-8", "backslashreplace")


def _check_name(text: str, path: bool = True) -> None:
    code = rb"\\(?:\\|x([0-9a-f]{2}))"
    name = re.sub(code, lambda at: bytes.fromhex(at[1].decode()) if at[1] else b"\\", text.encode())
    _need(_encode(name) == text and b"\0" not in name, f"not a coded name: {text[:200]}")
    _need(not (path and {b"", b".", b".."} & set(name.split(b"/"))), f"not a relative path: {text[:200]}")


class Report:
    """A report file, read once from its start, and what its lines come to."""

    def __init__(self, path: Path) -> None:
        self.path, self.digest, self.holds, self.said = path, "", False, dict[str, Any]()
        self.files = self.bytes = self.errors = self.count = self.size = 0
        self.whole, self.content, self.block = hashlib.sha3_512(), hashlib.sha3_512(), hashlib.sha256()
        self.blocks, self.entries = list[str](), dict[str, str]()

    def check(self, keys: dict[str, bytes], keep: bool) -> None:
        """Envelope, signature, statement, every line and all sums; Wrong for the first that does not hold."""
        last = (0, "", "")
        with gzip.open(self.path) if self.path.suffix == ".gz" else self.path.open("rb") as file:
            payload = self._payload(file.readline(128 * KIB), keys)
            self.said, self.digest = read_statement(payload), hashlib.sha3_512(payload).hexdigest()
            say("run {sequence} of replica {replica} ended {finished_at}: root {root}, {outcome}".format_map(self.said))
            for number, line in enumerate(iter(lambda: file.readline(64 * KIB), b""), 2):
                try:
                    text = line.decode("utf-8", "surrogateescape")
                    last, entry = read_record(text, last)
                    self._add(entry, line)
                except Wrong as error:
                    raise Wrong(f"line {number}: {error}") from error
                if keep and entry:
                    self.entries[entry["path"]] = text
        _need(self.count or not self.said["records"]["count"], "line 1 alone is here, and none of its lines")
        records = {"count": self.count, "bytes": self.size, "sha3_512": self.whole.hexdigest(), "blocks": self.blocks}
        found = {"files": self.files, "bytes": self.bytes, "errors": self.errors, "content": self.content.hexdigest()}
        wrong = [key for key, value in {**found, "records": records}.items() if value != self.said[key]]
        _need(not wrong, f"the lines are not those that were signed: {', '.join(wrong)} differ")
        self.holds = True
        say(self.said["reason"] or f"{self.count} lines: {self.files} files, {self.bytes} bytes, {self.errors} errors")

    def _payload(self, line: bytes, keys: dict[str, bytes]) -> bytes:
        match = re.fullmatch(ENVELOPE, line.decode("utf-8", "replace"))
        if match is None or match[1] != TYPE or not re.fullmatch(HEX64, f'"{match[3]}"'):
            raise Wrong("line 1 is no DSSE envelope of a run in its canonical form")
        keyid, payload, signature = match[3], base64.b64decode(match[2]), base64.b64decode(match[4])
        _need([base64.b64encode(text).decode() for text in (payload, signature)] == [match[2], match[4]], "bad base64")
        _need(len(signature) == 64 and len(payload) <= 64 * KIB, "a signature or a statement of no such size")
        if keyid not in keys:
            say(f"the signature, of key {keyid}: nobody vouches for what follows until --key names its public key", 2)
            return payload
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        try:
            signed = b"DSSEv1 %d %s %d %s" % (len(TYPE), TYPE.encode(), len(payload), payload)
            Ed25519PublicKey.from_public_bytes(keys[keyid]).verify(signature, signed)
        except InvalidSignature as error:
            raise Wrong(f"key {keyid} did not sign this statement") from error
        say(f"signed by the given key {keyid}")
        return payload

    def _add(self, entry: dict[str, Any], line: bytes) -> None:
        records = self.said["records"]
        self.count, self.size = self.count + 1, self.size + len(line)
        _need(self.count <= records["count"] and self.size <= records["bytes"], "more than was signed")
        self.whole.update(line)
        self.block.update(line)
        if self.count % max(1, -(-records["count"] // 256)) == 0 or self.count == records["count"]:
            self.blocks.append(self.block.hexdigest())
            self.block = hashlib.sha256()
        if "sha256" in entry or "link" in entry:
            self.content.update(f"{entry['path']}\0{entry.get('sha256') or '->' + entry['link']}\0".encode())
        self.files, self.bytes = self.files + ("sha256" in entry), self.bytes + entry.get("size", 0)
        self.errors += "error" in entry


def read_statement(payload: bytes) -> dict[str, Any]:
    """The statement: keys in their order, of their types, within their bounds, in canonical form."""
    try:
        said: Any = json.loads(payload.decode(), parse_float=int, parse_constant=int)
        _need(_canonical(said).encode() == payload, "the statement is not in its canonical form")
        _need(isinstance(said, dict) and list(said) == list(RULES), "the statement's keys, or their order")
        for key, rule in RULES.items():
            _need(re.fullmatch(rule, _canonical(said[key])), f"the statement's {key}")
            _need(key not in WITHIN or list(said[key]) == WITHIN[key].split(), f"the keys of the statement's {key}")
            _need(rule != TIME or datetime.fromisoformat(said[key][:-1]), "a time that there is")
    except (ValueError, RecursionError) as error:
        raise Wrong(f"the statement is not what the format allows: {error}") from error
    total, size, _, blocks = said["records"].values()
    _check_name(said["root"], path=False)
    _need(said["root"][0] == "/" and not re.search(rb"(?<!\\)(?:\\\\)*\\u0000", payload), "the root, or a NUL")
    numbers, first = [said[key] for key in ("work_time_ns", "files", "bytes", "errors")], said["previous"] is None
    _need(max(total, size, *numbers) < 2**63 and 1 - first < said["sequence"] < 2**31, "a number is out of its range")
    _need((said["outcome"] == "failed") == (said["reason"] is not None), "who failed has a reason, and nobody else")
    _need(max(len(said[key] or "") for key in ("break", "reason")) <= 1000, "break or reason is too long")
    _need(said["files"] + said["errors"] <= total and not (said["reason"] and total), "the counts do not fit")
    _need(len(blocks) == -(-total // max(1, -(-total // 256))), "the number of blocks does not fit")
    bones = re.sub(r'"(?:[^"\\]|\\.)*"|[^][{}]', "", payload.decode())
    for _ in range(5):
        bones = re.sub(r"\[\]|{}", "", bones)
    _need(not bones, "the statement is nested too deep")
    return dict(said)


def read_record(text: str, last: tuple[int, str, str]) -> tuple[tuple[int, str, str], dict[str, Any]]:
    """Where a line stands, which must be behind `last`, and its entry; an empty one for a note."""
    is_entry = ENTRY.fullmatch(text)
    _need(is_entry or NOTE.fullmatch(text), "not a line of the format in its canonical form")
    record = json.loads(text)
    here = (0 if is_entry else 1, record["path"], record.get("note", ""))
    _need(here > last, "out of order: entries by path, then notes by path and kind, each once")
    for name in ("path", "hardlink", "link"):
        _check_name(record.get(name, "-"), name != "link")
    _need(is_entry or _canonical(record) + "\n" == text, "a key stands twice")
    _need(all(-most <= record.get(key, 0) < most for key, most in BELOW.items()), "a number out of its range")
    _need(not record.get("size") or record["sha256"] != hashlib.sha256().hexdigest(), "the digest of nothing")
    _need(record.get("hardlink", "") < record["path"], "a hard link names an earlier path")
    return here, record if is_entry else {}


def check_chain(reports: list[Report]) -> None:
    """Whether the runs of one replica, by number, follow one another; what is missing between them is named."""
    said, digest = reports[0].said, reports[0].digest
    say(f"the chain of replica {said['replica']} begins here with run {said['sequence']}")
    for report in reports[1:]:
        before, said, last, number = said, report.said, said["sequence"], report.said["sequence"]
        another = (said["previous"], said["server"], said["root"]) != (digest, before["server"], before["root"])
        if number > last + 1:
            say(f"runs {last + 1} to {number - 1} are missing", 1)
        elif number == last and report.digest != digest:
            say(f"run {number} has two statements; one is in {report.path}", 1)
        elif number > last and another:
            say(f"run {number} does not follow run {last}: it names another statement, server or root", 1)
        if said["break"] is not None:
            say(f"run {number} began the chain anew: {said['break']}")
        digest = report.digest


def check_directory(report: Report, top: Path) -> None:
    """Each entry against what is on disk now: contents, targets of links, kinds. No link is followed."""
    entries, blind = report.entries, list[OSError]()
    root = os.open(top, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    for where, folders, names, here in os.fwalk(b".", dir_fd=root, onerror=blind.append):
        for name in sorted(folders + names):
            path = _encode(os.path.join(where, name)[2:])
            try:
                mode = os.lstat(name, dir_fd=here).st_mode
                if path in entries or not S_ISDIR(mode):
                    folders[:] = [folder for folder in folders if folder != name]
                    _check_on_disk(json.loads(entries.pop(path, "{}")), mode, name, here)
            except (Wrong, OSError) as error:
                say(f"{path}: {error}", 1 if isinstance(error, Wrong) else 2)
    for unread in blind:
        say(f"a directory: {unread}", 2)
    for path, text in entries.items():
        say(f"{path}: not there", 2 if blind or ',"error":"' in text else 1)


def _check_on_disk(entry: dict[str, Any], mode: int, name: bytes, here: int) -> None:
    _need(entry, "not in the report")
    if "error" in entry:
        raise OSError(f"the report has no digest of it, only {entry['error']}")
    if "sha256" in entry:
        return _need(S_ISREG(mode) and _digests(name, here) == (entry["sha256"], entry["md5"]), "not the file it was")
    same_link = S_ISLNK(mode) and _encode(os.readlink(name, dir_fd=here)) == entry.get("link")
    return _need(same_link or ("special" in entry and KINDS[entry["special"]](mode)), "not what it was")


def _digests(name: bytes, here: int) -> tuple[str, str]:
    sha256, md5 = hashlib.sha256(), hashlib.md5()
    with os.fdopen(os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=here), "rb") as file:
        while piece := file.read(KIB * KIB):
            sha256.update(piece)
            md5.update(piece)
    return sha256.hexdigest(), md5.hexdigest()


def _read_keys(named: list[str]) -> dict[str, bytes]:
    words = [word for name in named for word in ([name] if len(name) == 64 else Path(name).read_text().split())]
    keys = {hashlib.sha256(key).hexdigest(): key for key in map(bytes.fromhex, words)}
    for key in keys.values():  # RFC 8032, 5.1.3: under a point of small order a signature holds for many messages
        y = int.from_bytes(key, "little") % 2**255
        _need(len(key) == 32 and y < P and y not in (0, 1, P - 1, Y8, P - Y8), f"{key.hex()} is no good key")
    return keys


def _check_all(paths: list[Path], keys: dict[str, bytes], directory: Path | None) -> None:
    reports, newest = [Report(path) for path in paths], Report(Path())
    for report in reports:
        say(f"{report.path}:")
        try:
            report.check(keys, directory is not None)
        except (Wrong, EOFError, zlib.error, OSError) as error:
            say(str(error), 2 if isinstance(error, OSError) and error.errno else 1)
        older = report
        if report.holds and not report.said["reason"] and report.said["sequence"] > newest.said.get("sequence", 0):
            older, newest = newest, report
        older.entries.clear()
    for replica in sorted({report.said["replica"] for report in reports if report.said}):
        chain = [report for report in reports if report.said.get("replica") == replica]
        check_chain(sorted(chain, key=lambda report: int(report.said["sequence"])))
        _need(directory is None or replica == newest.said.get("replica"), "--directory is for one replica that holds")
    if directory is not None:
        check_directory(newest, directory)


def main() -> int:
    """0 all holds, 1 something does not, 2 something could not be looked at."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--key", action="append", default=[], help="public key, 64 hex digits, or a file of them")
    options.add_argument("--directory", type=Path, help="compare the newest complete run with this directory")
    options.add_argument("report", type=Path, nargs="+", help=".jsonl, .jsonl.gz, or a folder of them")
    given = options.parse_args()
    try:
        files = [path for at in given.report for path in sorted(at.glob("[!.]*.jsonl*")) or [at]]
        _check_all(files, _read_keys(given.key), given.directory)
    except (Wrong, OSError, ValueError, RecursionError, ImportError) as error:
        say(str(error), 2)
    code = 1 if 1 in FOUND else max(FOUND)
    say(("everything holds", "something DOES NOT HOLD", "not everything could be checked")[code])
    return code


if __name__ == "__main__":
    sys.exit(main())
