-- A batch of verdicts.
INSERT INTO diverging_judged
SELECT * FROM unnest(
    %(paths)s::text[], %(verdicts)s::text[], %(judged)s::text[], %(grounds)s::text[], %(undamaged)s::text[],
    %(is_suspicious)s::boolean[])
