-- What diverges otherwise than before.
UPDATE checker_divergence AS old
SET finding_id = new.finding_id, since = new.since, versions = new.versions, current = new.current, kind = new.kind,
    verdict = new.verdict, cells = new.cells, judged = new.judged, others = new.others, alike = new.alike,
    mark = new.mark, number = new.number, holder = new.holder
FROM diverging_kept AS new
WHERE old.comparison_id = %(comparison)s AND left(old.path, 512) = left(new.path, 512) AND old.path = new.path
    AND (old.finding_id, old.since, old.versions, old.current, old.kind, old.verdict, old.cells, old.judged, old.others,
        old.alike, old.mark, old.number, old.holder)
    IS DISTINCT FROM
        (new.finding_id, new.since, new.versions, new.current, new.kind, new.verdict, new.cells, new.judged, new.others,
        new.alike, new.mark, new.number, new.holder)
