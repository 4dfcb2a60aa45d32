-- Read the evidence of the candidates of a few paths.
SELECT path, facts::json FROM finding_candidate WHERE path = ANY(%(paths)s::text[])
