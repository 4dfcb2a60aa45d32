SELECT path, facts::json FROM finding_candidate WHERE path = ANY(%(paths)s::text[])
