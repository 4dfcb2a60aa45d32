-- Character by character what `scanner.format.records.encode` writes: to_json() escapes what JSON must escape, and
-- nothing else. Files of an unsigned import have digests alone. A row that no line can express becomes a line that no
-- report has, so that its digest differs.
coalesce(
    '{"path":' || to_json(path) || CASE type
        WHEN %(file)s THEN
            coalesce(
                ',"size":' || size || ',"mtime_ns":' || mtime_ns || ',"mode":' || mode
                || ',"uid":' || uid || ',"gid":' || gid, '')
            || ',"sha256":"' || encode(sha256, 'hex') || '","md5":"' || encode(md5, 'hex') || '"'
            || coalesce(',"hardlink":' || to_json(detail), '')
        WHEN %(error)s THEN ',"error":' || to_json(detail) || coalesce(',"stage":' || to_json(stage), '')
        WHEN %(link)s THEN ',"link":' || to_json(detail)
        ELSE ',"special":' || to_json(detail)
    END || E'}\n',
    '{"path":' || to_json(path) || E'}\n')
