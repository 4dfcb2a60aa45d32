"""Findings: what a person should look at, from the run that opens it until a person or a proof closes it.

A comparison of two runs comes in through `update`, one of a group's replicas through `replicas.update`; rows of Finding
and AuditEntry come out. Everything that is particular to a kind of finding stands in its module in `kinds`; the rest
works for all of them:

- `candidates` chooses changes and folds them by directory, `opening` makes findings of them;
- `whole_run` opens and resolves findings that are not made of changes;
- `resolution` closes findings when all paths are again what they were before;
- `mass_change`, `ransomware` and `packing` recognise a run that changed too much;
- `rotation` knows what rotating data should do;
- `description` puts a finding into words, made of the parts in `text`;
- `actions` is what people do about findings, `audit_log` what happened to them, `listing` their list.

Pages, views, tasks and jobs import this directory. It imports changes and divergences, and never pages or views.
"""
