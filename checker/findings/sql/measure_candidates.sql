SELECT sum(number)::bigint, min(path), max(path) FROM finding_candidate
