"""The admin: what is configured, what is decided, what nobody may touch."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group as Role
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from scanner import enrolment
from scanner.models import EnrolmentToken, Equivocation, Group, Replica, Run, Server, ServerToken, Version
from tests.checker import stage
from tests.scanner import factories

pytestmark = pytest.mark.django_db


def client_of(role: str) -> Client:
    """A client of somebody with this role."""
    client = Client()
    client.force_login(stage.make_user(role))
    return client


@pytest.fixture
def administrator() -> Client:
    return client_of("administrator")


@pytest.fixture
def operator() -> Client:
    return client_of("operator")


def act(client: Client, row: Any, name: str, **data: str) -> Any:
    """The answer to an act that is confirmed."""
    address = reverse(f"admin:scanner_{row._meta.model_name}_act", args=[row.pk, name])
    assert client.get(address).status_code in (200, 403)
    return client.post(address, data)


def group_form(group: Group | None, fields: dict[str, Any]) -> dict[str, Any]:
    """Return the fields that the form of a group sends."""
    replicas = list(group.replicas.all()) if group else []
    data: dict[str, Any] = {
        "name": group.name if group else "photos",
        "note": "",
        "expected_interval": "86400",
        "excludes": "",
        "policy": "mutable",
        "engine": "auto",
        "relation": "mirror",
        "lag": "86400",
        "replicas-TOTAL_FORMS": str(len(replicas) + 1),
        "replicas-INITIAL_FORMS": str(len(replicas)),
        "replicas-MIN_NUM_FORMS": "0",
        "replicas-MAX_NUM_FORMS": "1000",
        f"replicas-{len(replicas)}-enabled": "on",
    }
    for index, replica in enumerate(replicas):
        data |= {f"replicas-{index}-id": str(replica.pk), f"replicas-{index}-group": str(group.pk if group else "")}
    return data | fields


def test_a_group_is_made_with_its_replicas(administrator: Client) -> None:
    """One form makes a group, its interval and a replica."""
    server = factories.make_server("alpha")
    extra = {"replicas-0-server": str(server.pk), "replicas-0-root": "/srv/photos", "replicas-0-enabled": "on"}
    response = administrator.post(reverse("admin:scanner_group_add"), group_form(None, extra))

    assert response.status_code == 302

    replica = Replica.objects.get()
    assert (replica.root, replica.group.expected_interval) == ("/srv/photos", timedelta(days=1))


def test_a_bad_exclude_is_named_with_its_line(administrator: Client) -> None:
    """Patterns that cannot be read are refused, each with its line and why."""
    page = administrator.post(
        reverse("admin:scanner_group_add"), group_form(None, {"excludes": "*.tmp\n[a\n\n../x"})
    ).content.decode()
    assert "Line 2:" in page and "Line 4:" in page and "Line 1:" not in page and not Group.objects.exists()


@pytest.mark.parametrize("root", ["srv", "/srv/../etc", "/srv/", "/a\\q"])
def test_a_root_is_absolute_and_canonical(administrator: Client, root: str) -> None:
    """A root that is no canonical absolute path is refused."""
    server = factories.make_server("alpha")
    extra = {"replicas-0-server": str(server.pk), "replicas-0-root": root}
    page = administrator.post(reverse("admin:scanner_group_add"), group_form(None, extra))
    assert page.status_code == 200 and not Replica.objects.exists()


def test_root_and_server_of_a_replica_never_change(administrator: Client) -> None:
    """The root or server of an existing replica stays as it is, whatever the form sends."""
    replica = factories.make_replica()
    other = factories.make_server("other")
    extra = {"replicas-0-server": str(other.pk), "replicas-0-root": "/elsewhere", "replicas-0-enabled": ""}
    address = reverse("admin:scanner_group_change", args=[replica.group.pk])

    assert administrator.post(address, group_form(replica.group, extra)).status_code == 302

    replica.refresh_from_db()
    assert (replica.root, replica.server.name == "other", replica.enabled) == ("/srv/data", False, False)


def test_an_enrolment_token_is_shown_once(operator: Client) -> None:
    """The command line stands on one page alone; the table keeps a digest and the log does not say which."""
    server = factories.make_server("alpha")
    response = act(operator, server, "enrol")
    match = re.search(r"backup-syncer-collector enroll (bse1\.\S+) --server", response.content.decode())

    assert match is not None and "no-store" in response["Cache-Control"]

    token = EnrolmentToken.objects.get()
    assert token.created_by is not None and token.expires_at - token.created_at < timedelta(hours=24, minutes=1)
    assert match[1] not in operator.get(reverse("admin:scanner_server_change", args=[server.pk])).content.decode()
    assert "bse1" not in LogEntry.objects.get().change_message


def test_a_held_server_is_released_with_a_reason(operator: Client) -> None:
    """A release needs a reason, resolves the equivocation, and stands in the log with name and reason."""
    server, key = stage.make_server("alpha")
    run = stage.make_run(factories.make_replica(server), key)
    second = Equivocation.objects.create(run=run, envelope=b"x", statement=b"y" * 64)
    Server.objects.filter(pk=server.pk).update(held_at=timezone.now(), held_reason="two statements")

    assert act(operator, server, "release").status_code == 200
    assert Server.objects.get().held_at is not None
    assert act(operator, server, "release", reason="restored from backup").status_code == 302

    second.refresh_from_db()
    assert Server.objects.get().held_at is None and second.resolved_at is not None
    assert "restored from backup" in LogEntry.objects.get().change_message


def test_tokens_and_keys_are_revoked(operator: Client) -> None:
    """An operator ends what a stolen server could still use; the key itself stays."""
    server, _key = stage.make_server("alpha")
    factories.make_bearer(server)

    assert act(operator, server, "revoke-tokens", reason="stolen").status_code == 302
    assert not ServerToken.objects.filter(revoked_at=None).exists()

    key = server.keys.get()
    assert act(operator, key, "revoke", reason="stolen").status_code == 302

    key.refresh_from_db()
    assert key.revoked_at is not None


def test_an_enrolment_token_alone_is_revoked(operator: Client) -> None:
    """A token that was sent to the wrong person is ended before anybody has used it."""
    server, _key = stage.make_server("alpha")
    page = reverse("admin:scanner_server_change", args=[server.pk])
    assert "revoke-tokens" not in operator.get(page).content.decode()

    text = enrolment.create_token(server)
    assert "revoke-tokens" in operator.get(page).content.decode()
    assert act(operator, server, "revoke-tokens", reason="sent to a stranger").status_code == 302

    assert not enrolment.has_valid_tokens(server)
    assert text not in operator.get(page).content.decode()
    assert "revoke-tokens" not in operator.get(page).content.decode()


def test_a_replaced_disk_is_accepted_once(operator: Client) -> None:
    """The release of a root needs a reason, is seen, and can be withdrawn."""
    replica = factories.make_replica()
    act(operator, replica, "accept-root", reason="new disk")
    replica.refresh_from_db()

    assert replica.accept_root

    act(operator, replica, "refuse-root")
    replica.refresh_from_db()

    assert not replica.accept_root


def test_a_break_is_acknowledged(operator: Client) -> None:
    """A chain that begins anew is acknowledged once; a second time there is nothing to do."""
    server, key = stage.make_server("alpha")
    run = stage.make_run(factories.make_replica(server), key, break_="state lost")
    listed = operator.get(reverse("admin:scanner_run_changelist") + "?breaks=open").content.decode()

    assert f"/run/{run.pk}/change/" in listed

    act(operator, run, "acknowledge", reason="disk was changed")
    run.refresh_from_db()

    assert run.break_acknowledged_at is not None
    assert (
        "Nothing to do" in operator.get(reverse("admin:scanner_run_act", args=[run.pk, "acknowledge"])).content.decode()
    )


def test_a_run_set_aside_is_taken_up_again_while_it_is_the_newest(operator: Client) -> None:
    """The newest run waits for ingest again; of an older one the admin says why it cannot."""
    server, key = stage.make_server("alpha")
    replica = factories.make_replica(server)
    first = stage.make_run(replica, key)
    Run.objects.filter(pk=first.pk).update(state="set_aside", reason="poison")
    act(operator, first, "take-up", reason="repaired")
    first.refresh_from_db()

    assert first.state == Run.State.RECEIVED

    Run.objects.filter(pk=first.pk).update(state="set_aside")
    stage.make_run(replica, key)
    act(operator, first, "take-up", reason="once more")
    first.refresh_from_db()

    assert first.state == Run.State.SET_ASIDE


def test_evidence_is_archived_and_never_deleted(administrator: Client) -> None:
    """Rows with runs or keys cannot be deleted; an action archives them and restores them."""
    server, key = stage.make_server("alpha")
    replica = factories.make_replica(server)
    stage.make_run(replica, key)
    for row in (server, replica, replica.group):
        address = reverse(f"admin:scanner_{row._meta.model_name}_delete", args=[row.pk])
        assert administrator.post(address, {"post": "yes"}).status_code == 403

        act(administrator, row, "archive")
        row.refresh_from_db()

        assert row.archived_at is not None

        act(administrator, row, "restore")
        row.refresh_from_db()

        assert row.archived_at is None

    empty = factories.make_group("empty")

    assert (
        administrator.post(reverse("admin:scanner_group_delete", args=[empty.pk]), {"post": "yes"}).status_code == 302
    )


@pytest.mark.parametrize("model", ["run", "version", "note", "progress", "equivocation", "serverkey"])
def test_what_programs_write_is_read_only(administrator: Client, model: str) -> None:
    """Not even an administrator adds, edits or deletes runs, versions, notes and their like."""
    assert administrator.get(reverse(f"admin:scanner_{model}_changelist")).status_code == 200
    assert administrator.get(reverse(f"admin:scanner_{model}_add")).status_code == 403


def test_every_row_has_its_page(administrator: Client) -> None:
    """The pages of each kind of row can be opened."""
    world = stage.make_overview()
    run = world["proven"].runs.latest("sequence")
    stage.store_entries(run, [factories.file_row("a\u202eb")])
    version = Version.objects.get()
    for row in (run, version, world["proven"], run.key, run.replica.server, run.replica.group):
        assert row is not None
        address = reverse(f"admin:scanner_{row._meta.model_name}_change", args=[row.pk])
        assert administrator.get(address).status_code == 200

    assert administrator.get(reverse("admin:checker_proof_change", args=[run.pk])).status_code == 200
    assert administrator.get(reverse("admin:checker_proof_changelist")).status_code == 200
    assert administrator.get(reverse("admin:admin_logentry_changelist")).status_code == 200


def test_history_is_listed_by_replica_and_counted_to_a_bound(administrator: Client) -> None:
    """The list of versions is empty until a replica is chosen, shows names visibly, and counts no million rows."""
    server, key = stage.make_server("alpha")
    run = stage.mark_ingested(stage.make_run(factories.make_replica(server), key))
    stage.store_entries(run, [factories.file_row("a\u202eb")])
    address = reverse("admin:scanner_version_changelist")

    assert "a\\u202eb" not in administrator.get(address).content.decode()

    with CaptureQueriesContext(connection) as queries:
        page = administrator.get(f"{address}?replica__id__exact={run.replica.pk}").content.decode()
    assert "a\\u202eb" in page

    counts = [query["sql"] for query in queries if "COUNT(" in query["sql"] and "scanner_version" in query["sql"]]
    assert counts and all("LIMIT 10000" in sql for sql in counts)


def test_a_viewer_does_not_get_into_the_admin() -> None:
    """Roles that act may log in to the admin, viewers may not."""
    assert client_of("viewer").get("/admin/").status_code == 302
    assert client_of("operator").get("/admin/").status_code == 200


def test_an_operator_acts_and_edits_nothing(operator: Client) -> None:
    """An operator sees configuration and cannot change, archive or add it."""
    group = factories.make_group("photos")
    assert operator.get(reverse("admin:scanner_group_change", args=[group.pk])).status_code == 200
    assert operator.get(reverse("admin:scanner_group_add")).status_code == 403
    assert operator.post(reverse("admin:scanner_group_change", args=[group.pk]), {}).status_code == 403
    assert act(operator, group, "archive").status_code == 403
    assert operator.get("/admin/auth/user/").status_code == 403


def test_acts_need_the_right_to_act(client: Client) -> None:
    """Staff who may only look cannot act, whatever address they know."""
    user = stage.make_user("viewer", is_staff=True)
    client.force_login(user)
    server = factories.make_server("alpha")

    assert act(client, server, "enrol").status_code == 403
    assert "/act/enrol/" not in client.get(reverse("admin:scanner_server_change", args=[server.pk])).content.decode()


def test_an_act_or_a_row_that_does_not_exist_is_not_found(operator: Client) -> None:
    """An act that nobody knows, or of a row that is not there, is answered 404."""
    server = factories.make_server("alpha")
    assert operator.get(reverse("admin:scanner_server_act", args=[server.pk, "explode"])).status_code == 404
    assert operator.post(reverse("admin:scanner_server_act", args=[server.pk + 1, "enrol"])).status_code == 404


def test_a_role_gives_its_rights_from_either_side() -> None:
    """A user who is given the role, or whom the role is given, may log in to the admin."""
    user = User.objects.create_user("late")
    Role.objects.get(name="operator").user_set.add(user)
    assert User.objects.get(pk=user.pk).is_staff


def test_what_a_groups_data_is(administrator: Client) -> None:
    """Rotating data needs an age, a share is at most the whole, and nought is another word than nothing."""
    group = factories.make_group()
    url = f"/admin/scanner/group/{group.pk}/change/"
    for wrong in ({"policy": "rotating"}, {"limit_share": "101"}, {"limit_files": "-1"}, {"policy": "x"}):
        assert administrator.post(url, group_form(group, wrong)).status_code == 200, wrong
    right = {"policy": "rotating", "keep_days": "30", "limit_files": "0", "limit_share": ""}

    assert administrator.post(url, group_form(group, right)).status_code == 302

    group.refresh_from_db()
    assert (group.policy, group.keep_days, group.limit_files, group.limit_share) == ("rotating", 30, 0, None)
