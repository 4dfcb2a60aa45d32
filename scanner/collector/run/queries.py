"""Hold the SQL of one run: the tables of a workspace, and the statements that derive them from each other in sets.

Three databases take part. `main` becomes the state of the replica (see `state.SCHEMA`), `work` is dropped after the
run, and `last` is the state of the previous run, attached for the comparison.

Statements that run once for each row have positional parameters, since a dictionary for each row would take longer than
the insertion. All others have named ones. `:file` and `:error` are the types of entries.
"""

from __future__ import annotations

SCHEMA = """
-- Entries in the order of the walk.
CREATE TABLE work.walked (
    id INTEGER PRIMARY KEY,
    path TEXT,
    type INTEGER,
    size INTEGER,
    mtime_ns INTEGER,
    ctime_ns INTEGER,
    mode INTEGER,
    uid INTEGER,
    gid INTEGER,
    dev INTEGER,
    ino INTEGER,
    nlink INTEGER,
    detail TEXT,
    stage TEXT
);

-- The same entries in the order of the hash pass: files first, the largest of them first.
CREATE TABLE work.entry (
    id INTEGER PRIMARY KEY,
    path TEXT,
    type INTEGER,
    size INTEGER,
    mtime_ns INTEGER,
    ctime_ns INTEGER,
    mode INTEGER,
    uid INTEGER,
    gid INTEGER,
    dev INTEGER,
    ino INTEGER,
    nlink INTEGER,
    detail TEXT,
    stage TEXT
);

-- Digests of the files that were read, and a time before the read.
CREATE TABLE work.digest (id INTEGER PRIMARY KEY, digest BLOB, read_ns INTEGER);

-- Files whose read saw another status than the walk.
CREATE TABLE work.changed_status (
    id INTEGER PRIMARY KEY,
    size INTEGER,
    mtime_ns INTEGER,
    ctime_ns INTEGER,
    mode INTEGER,
    uid INTEGER,
    gid INTEGER,
    dev INTEGER,
    ino INTEGER
);

-- Files that could not be read. A file that vanished has an empty error.
CREATE TABLE work.problem (id INTEGER PRIMARY KEY, error TEXT, stage TEXT);

-- Each further path of an inode, with the entry that is read for all of them.
CREATE TABLE work.hard_link (id INTEGER PRIMARY KEY, first_id INTEGER);

-- Files to read in the next round, after the first path of their inode turned out to be gone.
CREATE TABLE work.next_round (id INTEGER PRIMARY KEY);

CREATE TABLE work.note (
    path TEXT,
    note TEXT,
    count INTEGER,
    detail TEXT,
    PRIMARY KEY (path, note)
) WITHOUT ROWID;
"""

# Results of walk and hash pass, one row at a time.

INSERT_WALKED = "INSERT INTO work.walked VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
INSERT_DIGEST = "INSERT INTO work.digest VALUES (?, ?, ?)"
INSERT_CHANGED_STATUS = "INSERT INTO work.changed_status VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
INSERT_PROBLEM = "INSERT INTO work.problem VALUES (?, ?, ?)"
COUNT_NOTE = """
INSERT INTO work.note VALUES (:path, :note, 1, NULL)
ON CONFLICT (path, note) DO UPDATE SET count = count + 1
"""

# Between walk and hash pass.

DROP_REPETITIONS = """
DELETE FROM work.walked
WHERE id NOT IN (SELECT min(id) FROM work.walked GROUP BY path)
"""
SORT_ENTRIES = """
INSERT INTO work.entry
SELECT NULL, path, type, size, mtime_ns, ctime_ns, mode, uid, gid, dev, ino, nlink, detail, stage
FROM work.walked
ORDER BY type <> :file, size DESC
"""
# Paths of one inode have the same status, and there are no more of them than the inode has names. Where that is not so,
# the inode number is that of several files: each path is read.
FIND_HARD_LINKS = """
INSERT INTO work.hard_link
SELECT id, first_id
FROM (
    SELECT
        id,
        nlink,
        first_value(id) OVER same_status AS first_id,
        count(*) OVER (PARTITION BY dev, ino) AS name_count
    FROM work.entry
    WHERE type = :file AND nlink > 1
    WINDOW same_status AS (
        PARTITION BY dev, ino, size, mtime_ns, ctime_ns, mode, uid, gid, nlink
        ORDER BY path
    )
)
WHERE id <> first_id AND name_count <= nlink
"""
# total() and not sum(): a few sparse files can have more bytes than an integer holds.
COUNT_PLANNED = """
SELECT
    (SELECT count(*) FROM work.entry) AS entries,
    count(*) AS files,
    cast(total(size) AS INTEGER) AS bytes
FROM work.entry AS entry
WHERE type = :file
    AND NOT EXISTS (SELECT 1 FROM work.hard_link WHERE hard_link.id = entry.id)
"""

# The hash pass takes the files in batches; the last id of a batch is where the next one begins.

FILES_TO_HASH = """
SELECT path, type, size, mtime_ns, ctime_ns, mode, uid, gid, dev, ino, nlink, NULL, NULL, id
FROM work.entry AS entry
WHERE id > :last_id
    AND type = :file
    AND NOT EXISTS (SELECT 1 FROM work.hard_link WHERE hard_link.id = entry.id)
ORDER BY id
LIMIT :count
"""
FILES_OF_NEXT_ROUND = """
SELECT path, type, size, mtime_ns, ctime_ns, mode, uid, gid, dev, ino, nlink, NULL, NULL, id
FROM work.entry
WHERE id > :last_id AND id IN (SELECT id FROM work.next_round)
ORDER BY id
LIMIT :count
"""

# Rounds of hard links: when the first path of an inode vanished, could not be opened or has become another inode, that
# says nothing of its other paths. The next path becomes the first one and is read.

REPLACE_FIRST_PATHS = """
CREATE TEMP TABLE orphaned_link AS
SELECT
    link.id,
    first_value(link.id) OVER (PARTITION BY link.first_id ORDER BY entry.path) AS first_id
FROM work.hard_link AS link
JOIN work.entry AS entry ON entry.id = link.id
WHERE link.first_id IN (
    SELECT id FROM work.problem WHERE stage <> 'read'
    UNION
    SELECT changed.id
    FROM work.changed_status AS changed
    JOIN work.entry AS walked ON walked.id = changed.id
    WHERE changed.dev <> walked.dev OR changed.ino <> walked.ino
);
DELETE FROM work.next_round;
DELETE FROM work.hard_link WHERE id IN (SELECT id FROM orphaned_link);
INSERT INTO work.hard_link SELECT id, first_id FROM orphaned_link WHERE id <> first_id;
INSERT INTO work.next_round SELECT DISTINCT first_id FROM orphaned_link;
DROP TABLE orphaned_link;
"""
DISSOLVE_HARD_LINKS = """
INSERT OR IGNORE INTO work.next_round
SELECT id FROM work.hard_link WHERE first_id IN (SELECT id FROM work.next_round);
DELETE FROM work.hard_link WHERE first_id IN (SELECT id FROM work.next_round);
"""
COUNT_NEXT_ROUND = "SELECT count(*) FROM work.next_round"

# After the hash pass.

COUNT_UNANSWERED = """
SELECT count(*)
FROM work.entry AS entry
WHERE type = :file
    AND NOT EXISTS (SELECT 1 FROM work.hard_link AS link WHERE link.id = entry.id)
    AND NOT EXISTS (SELECT 1 FROM work.digest AS digest WHERE digest.id = entry.id)
    AND NOT EXISTS (SELECT 1 FROM work.problem AS problem WHERE problem.id = entry.id)
"""
NOTE_VANISHED = """
INSERT OR REPLACE INTO work.note
SELECT entry.path, 'vanished', 0, NULL
FROM work.problem AS problem
JOIN work.entry AS entry ON entry.id = problem.id
WHERE problem.error = ''
"""
MERGE_RESULTS = """
INSERT INTO main.seen
SELECT
    entry.path,
    CASE WHEN problem.id IS NULL THEN entry.type ELSE :error END,
    coalesce(changed.size, entry.size),
    coalesce(changed.mtime_ns, entry.mtime_ns),
    coalesce(changed.ctime_ns, entry.ctime_ns),
    coalesce(changed.mode, entry.mode),
    coalesce(changed.uid, entry.uid),
    coalesce(changed.gid, entry.gid),
    coalesce(changed.dev, entry.dev),
    coalesce(changed.ino, entry.ino),
    digest.digest,
    digest.read_ns,
    coalesce(problem.error, first_entry.path, entry.detail),
    coalesce(problem.stage, entry.stage)
FROM work.entry AS entry
LEFT JOIN work.hard_link AS link ON link.id = entry.id
LEFT JOIN work.digest AS digest ON digest.id = coalesce(link.first_id, entry.id)
LEFT JOIN work.changed_status AS changed ON changed.id = coalesce(link.first_id, entry.id)
LEFT JOIN work.problem AS problem ON problem.id = coalesce(link.first_id, entry.id)
LEFT JOIN work.entry AS first_entry ON first_entry.id = link.first_id
WHERE problem.error IS NULL OR problem.error <> ''
ORDER BY entry.path
"""

# Comparison with the previous run. Its file may be damaged, so what is read from it goes into temporary tables: they
# alone are journalled, and a statement that fails leaves nothing behind.

ATTACH_PREVIOUS = "ATTACH :path AS last"
DETACH_PREVIOUS = "DETACH last"

# Files whose content is not what their path had before, and, where inode numbers tell files apart, files that were not
# at their path before. Devices are not compared: after a reboot all of them may have other numbers. Both tables are in
# the order of the paths, and read once, one along the other.
FIND_DIFFERENT_FILES = """
CREATE TEMP TABLE different_file AS
SELECT
    now.path,
    coalesce(nullif(now.detail, ''), now.path) AS first_path,
    now.digest,
    was.digest AS previous_digest,
    was.mtime_ns = now.mtime_ns AS has_same_date,
    :ctimes_trusted
        AND was.ctime_ns = now.ctime_ns
        AND max(was.mtime_ns, was.ctime_ns) + :settled_ns < was.read_ns AS ctime_same,
    now.digest <> was.digest AND (now.mtime_ns <= was.mtime_ns OR now.mtime_ns > :future_ns) AS is_suspect,
    :inodes_numbered AND was.ino IS NOT now.ino AND now.ino <> 0 AND now.size > 0 AS has_arrived,
    now.dev,
    now.ino,
    now.size,
    now.mtime_ns,
    now.ctime_ns
FROM main.seen AS now
LEFT JOIN last.seen AS was ON was.path = now.path AND was.type = :file
WHERE now.type = :file AND (is_suspect OR has_arrived)
"""
# The content changed, and the time of its modification stayed, went back, or lies ahead of the clock. An equal ctime
# counts where ctimes are trusted, and only if both stamps had settled before the previous run read the file.
FIND_CHANGED_CONTENTS = """
CREATE TEMP TABLE changed_content AS
SELECT path, first_path, previous_digest, has_same_date, ctime_same, NULL AS was_path
FROM temp.different_file
WHERE is_suspect
"""
FIND_ARRIVED_FILES = """
CREATE TEMP TABLE arrived_file AS
SELECT path, first_path, dev, ino, size, mtime_ns, ctime_ns, digest
FROM temp.different_file
WHERE has_arrived
"""
INDEX_ARRIVED_FILES = "CREATE INDEX temp.arrived_inode ON arrived_file (ino)"
COUNT_ARRIVED_FILES = "SELECT count(*) FROM temp.arrived_file"
# The same files under the path that they had. One that still has that path, too, got a further name; where several
# names of an inode came or went, nobody can say which became which. A new file may have the inode number and the size
# of a removed one: to have its time as well, to the nanosecond, it must be the same one. A time in whole seconds, as
# archives and old file systems have it, may be that of many files: then the ctime must not have moved since, either.
FIND_MOVED_FILES = """
CREATE TEMP TABLE moved_file AS
SELECT
    now.path,
    now.first_path,
    was.path AS was_path,
    was.digest AS previous_digest,
    :ctimes_trusted
        AND was.ctime_ns = now.ctime_ns
        AND max(was.mtime_ns, was.ctime_ns) + :settled_ns < was.read_ns AS ctime_same
FROM last.seen AS was
CROSS JOIN temp.arrived_file AS now ON now.ino = was.ino
WHERE was.type = :file
    AND (:one_device OR now.dev = was.dev)
    AND now.size = was.size
    AND now.mtime_ns = was.mtime_ns
    AND NOT EXISTS (
        SELECT 1
        FROM main.seen AS present
        WHERE present.path = was.path
            AND present.ino = was.ino
            AND (:one_device OR present.dev = was.dev)
    )
GROUP BY now.dev, now.ino
HAVING count(*) = 1
    AND now.digest <> was.digest
    AND (now.mtime_ns % 1000000000 <> 0 OR ctime_same)
"""
# The past of a file is that of its inode. What another file had at its path says nothing of it.
DROP_CONTENTS_OF_OTHER_FILES = """
DELETE FROM temp.changed_content WHERE path IN (SELECT path FROM temp.moved_file)
"""
ADD_MOVED_FILES = """
INSERT INTO temp.changed_content
SELECT path, first_path, previous_digest, 1, ctime_same, was_path
FROM temp.moved_file
"""
# Each suspect with all paths of its inode, new ones included: one read speaks for all of them.
FIND_SUSPECTS = """
CREATE TEMP TABLE suspect AS
SELECT
    coalesce(nullif(now.detail, ''), now.path) AS first_path,
    now.path,
    now.size,
    now.mtime_ns,
    now.ctime_ns,
    now.mode,
    now.uid,
    now.gid,
    now.dev,
    now.ino,
    now.digest,
    changed.previous_digest,
    coalesce(changed.ctime_same, 0) AS ctime_same,
    changed.was_path
FROM main.seen AS now
LEFT JOIN temp.changed_content AS changed ON changed.path = now.path
WHERE now.type = :file
    AND coalesce(nullif(now.detail, ''), now.path) IN (SELECT first_path FROM temp.changed_content)
ORDER BY 1, now.path
"""
COUNT_SUSPECTS = """
SELECT
    count(*) AS paths,
    cast(total(CASE WHEN path = first_path THEN size END) AS INTEGER) AS bytes
FROM temp.suspect
"""
SUSPECTS = """
SELECT
    rowid, first_path, path, size, mtime_ns, ctime_ns, mode, uid, gid, dev, ino, digest, previous_digest, ctime_same,
    was_path
FROM temp.suspect
WHERE rowid > :last_rowid
ORDER BY rowid
LIMIT :count
"""

FIND_ODD_CLOCKS = """
CREATE TEMP TABLE odd_clock AS
SELECT now.path, now.mtime_ns, was.mtime_ns AS previous_ns
FROM main.seen AS now
LEFT JOIN last.seen AS was ON was.path = now.path AND was.type = :file
WHERE now.type = :file
    AND (now.mtime_ns < was.mtime_ns OR now.mtime_ns > :future_ns AND now.mtime_ns IS NOT was.mtime_ns)
"""
FIND_ODD_CLOCKS_OF_FIRST_RUN = """
CREATE TEMP TABLE odd_clock AS
SELECT path, mtime_ns, NULL AS previous_ns
FROM main.seen
WHERE type = :file AND mtime_ns > :future_ns
"""
NOTE_ODD_CLOCKS = """
INSERT INTO work.note
SELECT
    path,
    'clock',
    0,
    '{"mtime":"' || CASE WHEN mtime_ns > :future_ns THEN 'future' ELSE 'back' END
        || '","mtime_ns":' || mtime_ns
        || coalesce(',"was_ns":' || previous_ns, '') || '}'
FROM temp.odd_clock
"""

# What became of a suspect.

UPDATE_FILE = """
UPDATE main.seen
SET digest = ?, read_ns = ?, size = ?, mtime_ns = ?, ctime_ns = ?, mode = ?, uid = ?, gid = ?, dev = ?, ino = ?
WHERE path = ?
"""
UPDATE_TO_ERROR = """
UPDATE main.seen SET type = :error, digest = NULL, detail = :name, stage = :stage WHERE path = :path
"""
DELETE_VANISHED = "DELETE FROM main.seen WHERE path = :path"
REPLACE_NOTE = "INSERT OR REPLACE INTO work.note VALUES (:path, :note, 0, :detail)"

# Hard links whose first path is no path of their inode any more name the first of the remaining paths.
FIND_NEW_FIRST_PATHS = """
CREATE TEMP TABLE new_first_path AS
SELECT path, min(path) OVER (PARTITION BY detail, dev, ino) AS first_path
FROM main.seen AS link
WHERE type = :file
    AND detail <> ''
    AND NOT EXISTS (
        SELECT 1
        FROM main.seen AS first_entry
        WHERE first_entry.path = link.detail
            AND first_entry.type = :file
            AND first_entry.dev = link.dev
            AND first_entry.ino = link.ino
    )
"""
UPDATE_FIRST_PATHS = """
UPDATE main.seen
SET detail = (
    SELECT CASE WHEN first_path = path THEN '' ELSE first_path END
    FROM temp.new_first_path
    WHERE new_first_path.path = seen.path
)
WHERE path IN (SELECT path FROM temp.new_first_path)
"""

# The report.

COUNT_RECORDS = """
SELECT
    (SELECT count(*) FROM main.seen) AS entries,
    (SELECT count(*) FROM work.note) AS notes
"""
# An older version that was restored has its own date again, which is another one than before.
COUNT_SAME_DATE = """
SELECT count(*)
FROM work.note AS note
JOIN temp.changed_content AS changed ON changed.path = note.path
WHERE note.note = 'confirmed' AND changed.has_same_date
"""
COUNT_NOTES_OF_KIND = "SELECT count(*) FROM work.note WHERE note = :note"
COUNT_ERRORS_OF_NAME = "SELECT count(*) FROM main.seen WHERE type = :error AND detail = :name"
ENTRIES = """
SELECT path, type, size, mtime_ns, mode, uid, gid, digest, detail, stage
FROM main.seen
ORDER BY path
"""
NOTES = "SELECT path, note, count, detail FROM work.note ORDER BY path, note"

INSERT_META = "INSERT INTO main.meta VALUES (?, ?)"
