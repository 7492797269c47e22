"""The ledger's schema is made once, by whom may, and never by an older crossfade over a newer one."""

from __future__ import annotations

import pytest
from psycopg import errors, sql
from tests.ledger.conftest import Connection, NewRole, Open, install_at_once

from crossfade.ledger import Ledger, LedgerError, install, is_installed
from crossfade.ledger.install import SHAPE
from crossfade.spec.fragment import trusted

TABLES = "SELECT count(*) FROM pg_class WHERE relnamespace = to_regnamespace('crossfade') AND relkind = 'r'"


def test_it_is_made_where_it_is_missing(connection: Connection) -> None:
    assert not is_installed(connection)

    install(connection)

    assert is_installed(connection)
    assert connection.execute("SELECT version FROM crossfade.version").fetchall() == [(1,)]


def test_a_second_install_changes_nothing(connection: Connection) -> None:
    install(connection)
    before = connection.execute("SELECT oid, relname FROM pg_class ORDER BY oid").fetchall()

    install(connection)

    assert connection.execute("SELECT oid, relname FROM pg_class ORDER BY oid").fetchall() == before


def test_two_at_once_make_one(open_session: Open) -> None:
    assert install_at_once(open_session, SHAPE) == []
    assert open_session().execute("SELECT count(*) FROM crossfade.version").fetchone() == (1,)


def test_a_failure_on_the_way_leaves_nothing(connection: Connection) -> None:
    connection.execute("CREATE SCHEMA crossfade; CREATE TABLE crossfade.event ()")

    with pytest.raises(errors.DuplicateTable):
        install(connection)

    assert connection.execute(TABLES).fetchone() == (1,)


@pytest.mark.parametrize("version", [0, 2])
def test_a_ledger_of_another_version_is_refused(connection: Connection, version: int) -> None:
    install(connection)
    connection.execute("UPDATE crossfade.version SET version = %s", (version,))

    with pytest.raises(LedgerError, match=f"has version {version}, this crossfade writes 1"):
        install(connection)


def test_a_role_that_may_not_create_it_is_told_the_grant(open_session: Open, new_role: NewRole) -> None:
    role = new_role()
    session = open_session(role)

    with pytest.raises(LedgerError, match=f'role "{role}" may not create the ledger in database') as refused:
        install(session)

    assert refused.value.fix == f'GRANT CREATE ON DATABASE "{session.info.dbname}" TO "{role}"'
    assert refused.value.fix is not None
    open_session().execute(trusted(refused.value.fix))
    install(session)


def test_a_role_that_may_not_use_it_is_told_the_grant(open_session: Open, new_role: NewRole) -> None:
    install(open_session())
    role = new_role()

    with pytest.raises(LedgerError, match=f'role "{role}" may not use the ledger') as refused:
        install(open_session(role))

    assert refused.value.fix is not None
    open_session().execute(trusted(refused.value.fix))
    install(open_session(role))


def test_a_schema_that_was_made_for_the_role_is_enough(open_session: Open, new_role: NewRole) -> None:
    role = new_role()
    open_session().execute(sql.SQL("CREATE SCHEMA crossfade AUTHORIZATION {}").format(sql.Identifier(role)))

    install(open_session(role))

    assert is_installed(open_session(role))


def test_a_dump_of_the_ledger_can_be_restored_by_another_role(open_session: Open, new_role: NewRole) -> None:
    connection = open_session()
    install(connection)
    Ledger(open_session(new_role())).approve("m", team=None, plan_digest="p", reason=None)
    (approved,) = connection.execute("SELECT a::text FROM crossfade.approval AS a").fetchall()

    # What a restore does: the rows first, then the triggers.
    connection.execute("CREATE TABLE copied (LIKE crossfade.approval INCLUDING CONSTRAINTS INCLUDING DEFAULTS)")
    connection.execute("INSERT INTO copied SELECT * FROM crossfade.approval")

    assert connection.execute("SELECT c::text FROM copied AS c").fetchall() == [approved]
