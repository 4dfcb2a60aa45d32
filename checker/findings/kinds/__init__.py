"""The kinds of findings, each an object that knows all that is particular to it.

A kind says how it is stored, how grave it is, which changes open it under which policy, what closes it without a
person, and how it reads: title, proofs, meaning, next steps. `registry` lists them; everything else in `findings` asks
the kind's object. A new kind is a module here, a value of `Finding.Kind`, a line in `registry`, a section of
docs/en/everyday.md and docs/ru/everyday.md, and its test.

Modules of `findings` import this directory; it imports `candidates`, `opening`, `whole_run`, `mass_change`, `rotation`,
`audit_log` and `text`.
"""
