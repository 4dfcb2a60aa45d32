"""The SQL of one run on its way: tables, and how they come from one another in sets."""

from __future__ import annotations

_COLUMNS = """
    id INTEGER PRIMARY KEY, path TEXT, type INTEGER, size INTEGER, mtime_ns INTEGER, ctime_ns INTEGER, mode INTEGER,
    uid INTEGER, gid INTEGER, dev INTEGER, ino INTEGER, nlink INTEGER, detail TEXT, stage TEXT
"""
SCHEMA = f"""
CREATE TABLE work.found ({_COLUMNS});
CREATE TABLE work.entry ({_COLUMNS});
CREATE TABLE work.digest (id INTEGER PRIMARY KEY, digest BLOB, read_ns INTEGER);
CREATE TABLE work.restat (id INTEGER PRIMARY KEY, size, mtime_ns, ctime_ns, mode, uid, gid, dev, ino);
CREATE TABLE work.problem (id INTEGER PRIMARY KEY, error TEXT, stage TEXT);
CREATE TABLE work.link (id INTEGER PRIMARY KEY, first INTEGER);
CREATE TABLE work.again (id INTEGER PRIMARY KEY);
CREATE TABLE work.note (path TEXT, note TEXT, count INTEGER, detail TEXT, PRIMARY KEY (path, note)) WITHOUT ROWID;
"""
"""`found` is the walk's order, `entry` the same with files first and the largest of them first. `link` names the first
path of an inode for each further one. `restat` is a file whose read saw another status than the walk. `problem` has an
empty error for what vanished."""

ADD_FOUND = "INSERT INTO work.found VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
ADD_DIGEST = "INSERT INTO work.digest VALUES (?, ?, ?)"
ADD_RESTAT = "INSERT INTO work.restat VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
ADD_PROBLEM = "INSERT INTO work.problem VALUES (?, ?, ?)"
ADD_NOTE = """
INSERT INTO work.note VALUES (?, ?, 1, NULL) ON CONFLICT (path, note) DO UPDATE SET count = count + 1
"""

ORDER = """
INSERT INTO work.entry
SELECT NULL, path, type, size, mtime_ns, ctime_ns, mode, uid, gid, dev, ino, nlink, detail, stage
FROM work.found ORDER BY type <> 1, size DESC
"""
LINK = """
INSERT INTO work.link SELECT id, first FROM (
    SELECT id, first_value(id) OVER (PARTITION BY dev, ino ORDER BY path) AS first
    FROM work.entry WHERE type = 1 AND nlink > 1
) WHERE id <> first
"""
TOTALS = """
SELECT (SELECT count(*) FROM work.entry), count(*), coalesce(sum(size), 0) FROM work.entry AS e
WHERE type = 1 AND NOT EXISTS (SELECT 1 FROM work.link WHERE link.id = e.id)
"""
FILES = """
SELECT path, type, size, mtime_ns, ctime_ns, mode, uid, gid, dev, ino, nlink, NULL, NULL, id FROM work.entry AS e
WHERE id > ? AND type = 1 AND NOT EXISTS (SELECT 1 FROM work.link WHERE link.id = e.id) ORDER BY id LIMIT ?
"""
FILES_AGAIN = """
SELECT path, type, size, mtime_ns, ctime_ns, mode, uid, gid, dev, ino, nlink, NULL, NULL, id FROM work.entry
WHERE id > ? AND id IN (SELECT id FROM work.again) ORDER BY id LIMIT ?
"""

PART = """
CREATE TEMP TABLE parted AS
SELECT link.id, first_value(link.id) OVER (PARTITION BY link.first ORDER BY entry.path) AS first
FROM work.link AS link JOIN work.entry AS entry ON entry.id = link.id
WHERE link.first IN (
    SELECT id FROM work.problem WHERE stage <> 'read'
    UNION SELECT restat.id FROM work.restat AS restat JOIN work.entry AS seen ON seen.id = restat.id
    WHERE restat.dev <> seen.dev OR restat.ino <> seen.ino
);
DELETE FROM work.again;
DELETE FROM work.link WHERE id IN (SELECT id FROM parted);
INSERT INTO work.link SELECT id, first FROM parted WHERE id <> first;
INSERT INTO work.again SELECT DISTINCT first FROM parted;
DROP TABLE parted;
"""
"""Links whose first path vanished, could not be opened or has become another inode: the next path becomes the first one
and is to be read."""
DISSOLVE = """
INSERT OR IGNORE INTO work.again SELECT id FROM work.link WHERE first IN (SELECT id FROM work.again);
DELETE FROM work.link WHERE first IN (SELECT id FROM work.again);
"""
UNANSWERED = """
SELECT count(*) FROM work.entry AS e WHERE type = 1
AND NOT EXISTS (SELECT 1 FROM work.link AS l WHERE l.id = e.id)
AND NOT EXISTS (SELECT 1 FROM work.digest AS d WHERE d.id = e.id)
AND NOT EXISTS (SELECT 1 FROM work.problem AS p WHERE p.id = e.id)
"""
NOTE_VANISHED = """
INSERT OR REPLACE INTO work.note
SELECT e.path, 'vanished', 0, NULL FROM work.problem AS p JOIN work.entry AS e ON e.id = p.id WHERE p.error = ''
"""
SEE = """
INSERT INTO main.seen SELECT
    e.path, CASE WHEN p.id IS NULL THEN e.type ELSE 2 END,
    coalesce(r.size, e.size), coalesce(r.mtime_ns, e.mtime_ns), coalesce(r.ctime_ns, e.ctime_ns),
    coalesce(r.mode, e.mode), coalesce(r.uid, e.uid), coalesce(r.gid, e.gid),
    coalesce(r.dev, e.dev), coalesce(r.ino, e.ino), d.digest, d.read_ns,
    coalesce(p.error, f.path, e.detail), coalesce(p.stage, e.stage)
FROM work.entry AS e
LEFT JOIN work.link AS l ON l.id = e.id
LEFT JOIN work.digest AS d ON d.id = coalesce(l.first, e.id)
LEFT JOIN work.restat AS r ON r.id = coalesce(l.first, e.id)
LEFT JOIN work.problem AS p ON p.id = coalesce(l.first, e.id)
LEFT JOIN work.entry AS f ON f.id = l.first
WHERE p.error IS NULL OR p.error <> ''
ORDER BY e.path
"""
COUNT = "SELECT (SELECT count(*) FROM main.seen), (SELECT count(*) FROM work.note)"
ROWS = """
SELECT path, type, size, mtime_ns, mode, uid, gid, digest, detail, stage FROM main.seen ORDER BY path
"""
NOTES = "SELECT path, note, count, detail FROM work.note ORDER BY path, note"

ATTACH_LAST = "ATTACH ? AS last"
DETACH_LAST = "DETACH last"
FIND_SUSPECTS = """
CREATE TEMP TABLE changed AS
SELECT now.path, coalesce(nullif(now.detail, ''), now.path) AS lead, was.digest AS was,
    ? AND was.ctime_ns = now.ctime_ns AND max(was.mtime_ns, was.ctime_ns) + ? < was.read_ns AS ctime_same
FROM main.seen AS now CROSS JOIN last.seen AS was ON was.path = now.path
WHERE now.type = 1 AND was.type = 1 AND now.digest <> was.digest
    AND (now.mtime_ns <= was.mtime_ns OR now.mtime_ns > ?)
"""
"""Content changed, and the time of its modification stayed, went back, or lies ahead of the clock. An equal ctime
counts where ctimes tell anything, and only if both stamps had settled before the last run read the file. Both tables
are in the order of the paths, so that one is read along the other. What is read from the last run's file, which may be
damaged, goes into temporary tables: they alone are journalled, and a statement that fails leaves nothing behind."""
WITH_LINKS = """
CREATE TEMP TABLE suspect AS
SELECT coalesce(nullif(now.detail, ''), now.path) AS lead, now.path, now.size, now.mtime_ns, now.ctime_ns, now.mode,
    now.uid, now.gid, now.dev, now.ino, now.digest, c.was, coalesce(c.ctime_same, 0) AS ctime_same
FROM main.seen AS now LEFT JOIN temp.changed AS c ON c.path = now.path
WHERE now.type = 1 AND coalesce(nullif(now.detail, ''), now.path) IN (SELECT lead FROM temp.changed)
ORDER BY 1, now.path
"""
"""Each suspect with all names of its inode, also those that are new: one read speaks for all of them."""
SUSPECTS = """
SELECT rowid, lead, path, size, mtime_ns, ctime_ns, mode, uid, gid, dev, ino, digest, was, ctime_same FROM temp.suspect
WHERE rowid > ? ORDER BY rowid LIMIT ?
"""
SUSPECTED = "SELECT count(*), coalesce(sum(CASE WHEN path = lead THEN size END), 0) FROM temp.suspect"
FIND_CLOCKS = """
CREATE TEMP TABLE clock AS
SELECT now.path, now.mtime_ns, was.mtime_ns AS was_ns FROM main.seen AS now LEFT JOIN last.seen AS was
    ON was.path = now.path AND was.type = 1
WHERE now.type = 1 AND (now.mtime_ns < was.mtime_ns OR now.mtime_ns > ? AND now.mtime_ns IS NOT was.mtime_ns)
"""
FIND_FIRST_CLOCKS = """
CREATE TEMP TABLE clock AS
SELECT path, mtime_ns, NULL AS was_ns FROM main.seen WHERE type = 1 AND mtime_ns > ?
"""
SAY_CLOCKS = """
INSERT INTO work.note SELECT path, 'clock', 0, '{"mtime":"' || CASE WHEN mtime_ns > ? THEN 'future' ELSE 'back' END
    || '","mtime_ns":' || mtime_ns || coalesce(',"was_ns":' || was_ns, '') || '}' FROM temp.clock
"""
NOTED = "SELECT count(*) FROM work.note WHERE note = ?"
UNSTABLE = "SELECT count(*) FROM main.seen WHERE type = 2 AND detail = ?"
SETTLE = """
UPDATE main.seen SET digest = ?, read_ns = ?, size = ?, mtime_ns = ?, ctime_ns = ?, mode = ?, uid = ?, gid = ?, dev = ?,
    ino = ? WHERE path = ?
"""
SETTLE_ERROR = "UPDATE main.seen SET type = 2, digest = NULL, detail = ?, stage = ? WHERE path = ?"
SETTLE_GONE = "DELETE FROM main.seen WHERE path = ?"
LEAD_ANEW = """
CREATE TEMP TABLE led AS
SELECT path, min(path) OVER (PARTITION BY detail, dev, ino) AS lead FROM main.seen AS l
WHERE type = 1 AND detail <> '' AND NOT EXISTS (
    SELECT 1 FROM main.seen AS f WHERE f.path = l.detail AND f.type = 1 AND f.dev = l.dev AND f.ino = l.ino
);
UPDATE main.seen SET detail = (SELECT CASE WHEN lead = path THEN '' ELSE lead END FROM temp.led
    WHERE led.path = seen.path) WHERE path IN (SELECT path FROM temp.led);
"""
"""Files that name a first path of their inode which is none any more name the first of those that are left."""
SAY = "INSERT OR REPLACE INTO work.note VALUES (?, ?, 0, ?)"
