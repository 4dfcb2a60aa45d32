"""Name notes that every reader of reports accepts, and notes that none may accept."""

from __future__ import annotations

ALLOWED_NOTES = [
    '{"note":"confirmed","path":"a"}',
    '{"note":"confirmed","path":"a","against":"","ctime_same":true,"cold":false,"engines":["hashlib"],"reads":3}',
    '{"note":"misread","path":"a","reads":9223372036854775807,"sha256":"' + "0" * 64 + '"}',
    '{"note":"vanished","path":"a"}',
    '{"note":"skipped","path":"a","reason":"ENAMETOOLONG","count":2}',
    '{"note":"clock","path":"a","mtime":"back","mtime_ns":-9223372036854775808,"was_ns":0}',
]

REFUSED_NOTES = [
    '{"note":"confirmed","path":"a","against":"\\u0000"}',
    '{"note":"confirmed","path":"a","against":"\\ud800"}',
    '{"note":"confirmed","path":"a","against":"' + "x" * 101 + '"}',
    '{"note":"confirmed","path":"a","against":null}',
    '{"note":"confirmed","path":"a","against":["x"]}',
    '{"note":"confirmed","path":"a","ctime_same":1}',
    '{"note":"confirmed","path":"a","ctime_same":"true"}',
    '{"note":"confirmed","path":"a","cold":true,"ctime_same":true}',
    '{"note":"confirmed","path":"a","engines":"hashlib"}',
    '{"note":"confirmed","path":"a","engines":["hashlib",1]}',
    '{"note":"confirmed","path":"a","engines":[["hashlib"]]}',
    '{"note":"confirmed","path":"a","engines":[' + ",".join(['"x"'] * 65) + "]}",
    '{"note":"confirmed","path":"a","reads":true}',
    '{"note":"confirmed","path":"a","reads":3.0}',
    '{"note":"confirmed","path":"a","reads":1e3}',
    '{"note":"confirmed","path":"a","reads":-1}',
    '{"note":"confirmed","path":"a","reads":3,"reads":3}',
    '{"note":"confirmed","path":"a","reads":{"x":1}}',
    '{"note":"confirmed","path":"a","sha256":"' + "0" * 64 + '"}',
    '{"note":"confirmed","path":"a","":1}',
    '{"note":"misread","path":"a","sha256":"' + "A" * 64 + '"}',
    '{"note":"vanished","path":"a","reads":3}',
    '{"note":"skipped","path":"a","count":9223372036854775808}',
    '{"note":"skipped","path":"a","count":' + "9" * 5000 + "}",
    '{"note":"skipped","path":"a","reason":""}',
    '{"note":"clock","path":"a","mtime":"now"}',
    '{"note":"clock","path":"a","mtime_ns":9223372036854775808}',
    '{"note":["clock"],"path":"a"}',
    '{"note":"hello","path":"a"}',
]
