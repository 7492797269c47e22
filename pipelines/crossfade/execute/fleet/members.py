"""Which databases a fleet has, asked now: by its list, a query on another database, or a pattern on its server."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import psycopg
from psycopg.rows import dict_row
from pydantic import ValidationError

from crossfade.errors import CrossfadeError
from crossfade.execute.session import reading
from crossfade.server_words import told
from crossfade.spec import Fleet, Member, Project
from crossfade.spec.fleets import MemberEntry
from crossfade.spec.fragment import trusted

_DATABASES = """
SELECT datname::text AS name FROM pg_catalog.pg_database
 WHERE datallowconn AND NOT datistemplate ORDER BY datname"""


class FleetError(CrossfadeError):
    """A fleet's members cannot be told, or one of them cannot go on."""


def resolve_members(project: Project, fleet: Fleet) -> tuple[Member, ...]:
    """The fleet's members, in the order they are named in; raises FleetError when there are none, or one is no name."""
    members = {member.name: member for member in _named(project, fleet)}
    if not members:
        raise FleetError(
            f"the fleet `{fleet.name}` has no members",
            where=fleet.where,
            why="what names them gives none",
            fix="correct `each`, or what it asks",
        )
    by_wave = {name for wave in fleet.waves for name in wave.members}
    if unknown := sorted(by_wave - members.keys()):
        raise FleetError(
            f"a wave of `{fleet.name}` names {', '.join(unknown)}, which is no member now",
            where=fleet.where,
            why="without it another one would be the first",
            fix="take it out of the wave, or bring it back",
        )
    return tuple(members.values())


def _named(project: Project, fleet: Fleet) -> Iterator[Member]:
    each = fleet.each
    if each.query is not None and each.on is not None:
        with reading(project.databases[each.on], "crossfade fleet") as connection:
            yield from (_checked(fleet, row) for row in _rows(connection, each.query, fleet))
    elif each.databases is not None:
        with reading(replace(fleet.base), "crossfade fleet") as connection:
            for row in _rows(connection, _DATABASES, fleet):
                if fnmatch.fnmatchcase(row["name"], each.databases):
                    yield _checked(fleet, row)
    else:
        yield from map(fleet.member, each.members)


def _rows(connection: psycopg.Connection[Any], query: str, fleet: Fleet) -> list[dict[str, Any]]:
    try:
        with connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(trusted(query)).fetchall()
    except psycopg.Error as error:
        raise FleetError(
            f"the members of `{fleet.name}` cannot be asked: {told(error)}",
            where=fleet.where,
            why=f"SQLSTATE {error.sqlstate}" if error.sqlstate else "the connection was lost",
            fix="correct the query in `each`",
            sqlstate=error.sqlstate,
        ) from None


def _checked(fleet: Fleet, row: dict[str, Any]) -> Member:
    said = {key: value for key, value in row.items() if value is not None}
    try:
        return fleet.member(MemberEntry.model_validate(said))
    except ValidationError as error:
        # What is refused may be a URL with its password: values are not repeated.
        keys = sorted({str(each["loc"][0]) for each in error.errors(include_url=False, include_input=False)})
        raise FleetError(
            f"what names the members of `{fleet.name}` gives a row that is none: {', '.join(keys)}",
            where=fleet.where,
            why="a member has a `name` of letters, digits and `_.-`, and maybe `database`, `host`, `port` and `tags`",
            fix="give these columns, of text, integer and text[]",
        ) from None
