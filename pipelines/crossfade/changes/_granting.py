"""What grant and revoke share: privileges on one thing, and who has which of them now."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal, LiteralString

from pydantic import Field, model_validator

from crossfade.catalog.grants import LETTERS, Granted, granted
from crossfade.catalog.model import Name
from crossfade.changes._change import Change, Hazard, Refused
from crossfade.changes._context import Context
from crossfade.changes._created import refuse_missing
from crossfade.changes._routine import Signature, found_routine, named_routine
from crossfade.composing import sql
from crossfade.spec.errors import did_you_mean
from crossfade.spec.fragment import trusted
from crossfade.spec.values import Identifier
from crossfade.steps.compose import identifier

Privilege = Literal[
    "all", "select", "insert", "update", "delete", "truncate", "references", "trigger", "maintain", "usage", "create",
    "execute",
]  # fmt: skip
Kind = Literal["table", "sequence", "schema", "function", "type"]

_PRIVILEGES: Mapping[str, tuple[str, ...]] = {
    "table": ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER", "MAINTAIN"),
    "columns": ("SELECT", "INSERT", "UPDATE", "REFERENCES"),
    "sequence": ("USAGE", "SELECT", "UPDATE"),
    "schema": ("USAGE", "CREATE"),
    "function": ("EXECUTE",),
    "type": ("USAGE",),
}
_SINCE = {"MAINTAIN": 17}
_WORDS: Mapping[Kind, LiteralString] = {
    "table": "TABLE",
    "sequence": "SEQUENCE",
    "schema": "SCHEMA",
    "function": "ROUTINE",
    "type": "TYPE",
}


@dataclass(frozen=True)
class Thing:
    """What privileges are on. sql: as GRANT names it, behind its kind. items: access control items, of its columns too.

    owner: None where the catalog does not tell. relation: where it is one.
    """

    kind: Kind
    name: str
    sql: sql.Composable
    items: tuple[str, ...]
    owner: str | None
    of_columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    relation: Name | None = None

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"

    @property
    def target(self) -> sql.Composable:
        return sql.SQL("{} {}").format(sql.SQL(_WORDS[self.kind]), self.sql)

    def on(self, column: str | None) -> tuple[Granted, ...]:
        """The privileges there are on it, or on one of its columns alone."""
        return tuple(granted(self.items if column is None else self.of_columns.get(column, ()), LETTERS))


@dataclass(frozen=True)
class Right:
    """One privilege of one role. column: where it is on that alone. role: "" = everybody."""

    privilege: str
    role: str
    column: str | None = None

    def among(self, thing: Thing) -> tuple[Granted, ...]:
        """Who gave the role this, and how."""
        return tuple(
            each for each in thing.on(self.column) if each.grantee == self.role and self.privilege in each.privileges
        )


class Granting(Change):
    """Privileges on one thing, and the roles that get or lose them."""

    privileges: Annotated[tuple[Privilege, ...], Field(min_length=1)] = Field(
        description="`select`, `insert`, `update`, `delete`, `truncate`, `references`, `trigger` and `maintain`"
        " (PostgreSQL 17) of a table or view; `usage`, `select` and `update` of a sequence; `usage` and `create` of a"
        " schema; `execute` of a function; `usage` of a type; or `all` that there are."
    )
    table: Identifier | None = Field(None, description="A table, view or materialized view, or `schema.name`.")
    columns: tuple[Identifier, ...] = Field((), description="With `table`: on these columns alone.")
    sequence: Identifier | None = Field(None, description="In its place, a sequence, or `schema.name`.")
    schema_: Identifier | None = Field(None, alias="schema", description="In its place, a schema.")
    function: Signature | None = Field(
        None,
        description="In its place, a function or procedure: its name with the types of its arguments, `f(int, text)`.",
    )
    type: Identifier | None = Field(
        None, description="In its place, an enum, domain or composite type, or `schema.name`."
    )

    @model_validator(mode="after")
    def _one_thing(self) -> Granting:
        if len(self._named) != 1:
            raise ValueError("say one of `table`, `sequence`, `schema`, `function` and `type`")
        if self.columns and self.table is None:
            raise ValueError("`columns` goes with `table`")
        return self

    @property
    def _named(self) -> list[tuple[Kind, str]]:
        said: tuple[tuple[Kind, str | None], ...] = (
            ("table", self.table),
            ("sequence", self.sequence),
            ("schema", self.schema_),
            ("function", self.function),
            ("type", self.type),
        )
        return [(kind, name) for kind, name in said if name is not None]

    def thing(self, context: Context) -> Thing:
        """What it is about, as it is now or as an earlier change makes it; refuses what neither is nor comes."""
        ((kind, written),) = self._named
        match kind:
            case "table":
                return self._relation(context, written)
            case "schema":
                return _schema(context, written)
            case "function":
                return _function(context, written)
            case "sequence":
                name = context.name(written)
                found = context.catalog.sequences.get(name)
                if found is None:
                    refuse_missing(context, "sequence", name, context.catalog.sequences, kind)
            case "type":
                name, catalog = context.name(written), context.catalog
                types = {**catalog.enums, **catalog.domains, **catalog.composites}
                found = types.get(name)
                if found is None:
                    refuse_missing(context, "an enum, domain or composite type", name, types, kind)
        return Thing(kind, str(name), identifier(name), found.grants, found.owner)

    def _relation(self, context: Context, written: str) -> Thing:
        name = context.name(written)
        if (view := context.catalog.views.get(name)) is not None:
            owner, items, columns = view.owner, view.grants, {each.name: each.grants for each in view.columns}
        elif name in context.shown:
            columns = {column: tuple[str, ...]() for column in context.shown[name]}
            owner, items = context.catalog.role.name, ()
        else:
            table = context.table(written)
            owner, items, columns = table.owner, table.grants, {each.name: each.grants for each in table.columns}
            columns |= {column: () for column in context.arrivals.get(name, {}) if column not in columns}
        for index, column in enumerate(self.columns):
            if column not in columns:
                near = did_you_mean(column, [*columns])
                context.refuse(f"column {column} does not exist in {name}", fix=near, at=("columns", index))
        return Thing("table", str(name), identifier(name), items, owner, columns, name)

    def named_privileges(self, context: Context, thing: Thing) -> tuple[str, ...]:
        """As SQL spells them; refuses those that there are not on such a thing, or on this server."""
        version = context.catalog.server.version // 10000
        known = _PRIVILEGES["columns" if self.columns else thing.kind]
        there = tuple(name for name in known if _SINCE.get(name, 0) <= version)
        for index, said in enumerate(self.privileges):
            if said == "all" or said.upper() in there:
                continue
            kind = f"columns of a {thing.kind}" if self.columns else f"a {thing.kind}"
            since = f" before PostgreSQL {_SINCE[said.upper()]}" if said.upper() in known else ""
            context.refuse(
                f"there is no privilege {said} on {kind}{since}",
                fix=f"those there are: {', '.join(there).lower()}",
                at=("privileges", index),
            )
        return there if "all" in self.privileges else tuple(dict.fromkeys(said.upper() for said in self.privileges))

    def rights(self, context: Context, thing: Thing, roles: Iterable[str]) -> Iterator[Right]:
        """Each privilege of each role, on each of the columns."""
        for role in roles:
            for privilege in self.named_privileges(context, thing):
                for column in self.columns or (None,):
                    yield Right(privilege, "" if role == "public" else role, column)


def refuse_unknown_roles(context: Context, roles: Iterable[str], key: str) -> None:
    """`public` is everybody."""
    for index, role in enumerate(roles):
        if role == "public":
            continue
        quoted = sql.Literal(sql.Identifier(role).as_string(None)).as_string(None)
        try:
            context.probe.query(f"SELECT {quoted}::pg_catalog.regrole")
        except Refused:
            context.refuse(
                f"role {role} does not exist on the server of {context.database}",
                fix="create it first, as roles are: for all databases of the server",
                at=(key, index),
            )


def granting(thing: Thing, rights: Iterable[Right], *, option: bool = False) -> Iterator[sql.Composable]:
    """GRANT, one statement for each role and column."""
    for role, column, privileges in _together(rights):
        yield sql.SQL("GRANT {} ON {} TO {}{}").format(
            _listed(privileges, column), thing.target, _who(role), sql.SQL(" WITH GRANT OPTION" if option else "")
        )


def with_columns(thing: Thing, rights: Iterable[Right]) -> Iterator[Right]:
    """PostgreSQL takes a privilege on the whole table from each of its columns too."""
    for right in rights:
        yield right
        if right.column is None:
            yield from (Right(right.privilege, right.role, column) for column in thing.of_columns)


def granting_again(thing: Thing, rights: Iterable[Right]) -> Iterator[sql.Composable]:
    """Those that the roles have now, with the right to grant them on where they have it."""
    held = [(right, right.among(thing)) for right in rights]
    yield from granting(thing, [right for right, how in held if how and not any(each.grantable for each in how)])
    yield from granting(thing, [right for right, how in held if any(each.grantable for each in how)], option=True)


def revoking(thing: Thing, rights: Iterable[Right], *, option: bool = False) -> Iterator[sql.Composable]:
    """REVOKE of them, or of the right to grant them on alone."""
    for role, column, privileges in _together(rights):
        yield sql.SQL("REVOKE {}{} ON {} FROM {}").format(
            sql.SQL("GRANT OPTION FOR " if option else ""), _listed(privileges, column), thing.target, _who(role)
        )


def _together(rights: Iterable[Right]) -> Iterator[tuple[str, str | None, tuple[str, ...]]]:
    found: dict[tuple[str, str | None], list[str]] = {}
    for right in rights:
        found.setdefault((right.role, right.column), []).append(right.privilege)
    for (role, column), privileges in found.items():
        yield role, column, tuple(privileges)


def _listed(privileges: Iterable[str], column: str | None) -> sql.Composable:
    on = sql.SQL(" ({})").format(sql.Identifier(column)) if column is not None else sql.SQL("")
    return sql.SQL(", ").join(sql.SQL("{}{}").format(trusted(each), on) for each in privileges)


def _who(role: str) -> sql.Composable:
    return sql.Identifier(role) if role else sql.SQL("PUBLIC")


def missing_right(context: Context, thing: Thing, rights: Iterable[Right]) -> tuple[Hazard, ...]:
    """The role neither owns the thing nor may grant these on."""
    role = context.catalog.role
    owner = thing.owner or next((each.grantor for each in thing.on(None)), role.name)
    held = [each for each in thing.on(None) if each.grantable and each.grantee in role.member_of]
    wanted = {right.privilege for right in rights}
    if role.superuser or owner in role.member_of or wanted <= {name for each in held for name in each.privileges}:
        return ()
    grant = sql.SQL("GRANT {} TO {}").format(sql.Identifier(owner), sql.Identifier(role.name)).as_string(None)
    what = f"role {role.name} neither owns {thing} nor is a member of {owner}, who does"
    return (Hazard("missing-right", "danger", what, grant),)


def _schema(context: Context, written: str) -> Thing:
    items = context.catalog.schema_grants.get(written)
    if items is None:
        near = did_you_mean(written, [*context.catalog.schemas])
        context.refuse(f"schema {written} does not exist in database {context.database}", fix=near, at=("schema",))
    return Thing("schema", written, sql.Identifier(written), items, None)


def _function(context: Context, written: str) -> Thing:
    with context.at("function"):
        named = named_routine(context, written)
        if str(named) in context.defined:
            return Thing("function", str(named), named.sql, (), context.catalog.role.name)
        found = found_routine(context, written)
    called = named_routine(context, f"{identifier(found.name).as_string(None)}({found.arguments})")
    return Thing("function", str(found), called.sql, found.grants, found.owner)
