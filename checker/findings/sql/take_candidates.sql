-- Make the changes of candidates the findings' own, each the one of its branch.
UPDATE checker_change AS change
SET finding_id = branch.finding_id
FROM finding_candidate AS candidate
JOIN unnest(%(paths)s::text[], %(folded)s::boolean[], %(findings)s::bigint[]) AS branch (path, folded, finding_id)
    ON candidate.path = branch.path OR (branch.folded AND starts_with(candidate.path, branch.path))
WHERE change.id = candidate.change_id
