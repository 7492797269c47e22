"""Tables as both versions of an application see them: a schema of views for each, which it names in search_path.

A view knows the columns of its table by number, so it goes on as it is while names swap underneath. The new version's
views are there from expand until after `drop`, when the table itself is what they show; those of the version before
until `retire`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from crossfade.catalog.grants import granted
from crossfade.catalog.model import OWN_PREFIX, Name, Table
from crossfade.composing import sql
from crossfade.spec.fragment import trusted
from crossfade.steps.compose import identifier, names, relation, text
from crossfade.steps.rows import Moment, Sides
from crossfade.steps.step import EXPAND, Ddl, Leg, Lock, stage_leg
from crossfade.steps.version_schemas import VersionSchemas

Version = Literal["new", "old"]
_PRIVILEGES = ("SELECT", "INSERT", "UPDATE", "DELETE")


@dataclass(frozen=True)
class ShownColumn:
    """A column of a view. physical: what the table calls it when the view is made."""

    name: str
    physical: str
    default: str | None = None  # where the version has another one than the table
    comment: str | None = None
    grants: tuple[str, ...] = ()


@dataclass(frozen=True)
class Shown:
    """A table of which each version sees a shape of its own.

    sides: its pairs; None where no column has two sides.
    appended: new columns that stand in no old one's place, as the spec orders them.
    renamed: old name -> new name, of columns that are one and the same under both.
    """

    table: Table
    sides: Sides | None
    appended: tuple[str, ...]
    renamed: Mapping[str, str]

    def columns(self, version: Version, moment: Moment) -> list[ShownColumn]:
        """Its columns in order, as the version knows them."""
        return list(self._of_old(moment) if version == "old" else self._of_new(moment))

    @property
    def has_column_rights(self) -> bool:
        """Somebody may use some of its columns only, and so not what a view that asks for his rights reads: all."""
        return any(column.grants for column in self.table.columns)

    @property
    def last_before_retire(self) -> Moment:
        swapped = self.renamed or (self.sides is not None and self.sides.swaps)
        return "swapped" if swapped else "side by side"

    def _of_old(self, moment: Moment) -> Iterator[ShownColumn]:
        hidden = self.sides.old_names(moment) if self.sides is not None else {}
        leaving = self.sides.leaving if self.sides is not None else ()
        for column in self.table.columns:
            if not column.name.startswith(OWN_PREFIX):
                physical = hidden.get(column.name, self._renamed(column.name, moment))
                default = column.default if column.name in leaving else None
                yield ShownColumn(column.name, physical, default, column.comment, column.grants)

    def _of_new(self, moment: Moment) -> Iterator[ShownColumn]:
        arriving = self._arriving(moment)
        pairs = self.sides.pairs if self.sides is not None else ()
        instead = {pair.old[0]: tuple(new.name for new in pair.new) for pair in pairs if pair.old}
        gone = {name for pair in pairs for name in pair.old}
        for column in self.table.columns:
            if column.name.startswith(OWN_PREFIX):
                continue
            if column.name in gone:
                yield from (arriving[name] for name in instead.get(column.name, ()))
            else:
                name, physical = self.renamed.get(column.name, column.name), self._renamed(column.name, moment)
                yield ShownColumn(name, physical, None, column.comment, column.grants)
        for name in self.appended:
            yield arriving.get(name, ShownColumn(name, name))

    def _arriving(self, moment: Moment) -> dict[str, ShownColumn]:
        if self.sides is None:
            return {}
        physical = self.sides.new_names(moment)
        return {
            new.name: ShownColumn(new.name, physical.get(new.name, new.name), new.default, new.comment)
            for new in self.sides.arriving
        }

    def _renamed(self, name: str, moment: Moment) -> str:
        return name if moment == "side by side" else self.renamed.get(name, name)


@dataclass(frozen=True)
class Versions:
    """The tables of one schema that a migration shows to both versions.

    usage: access control items of that schema. role: who makes the views. invoker: views can ask for the rights, and
    be under the policies, of whoever uses them (PostgreSQL 15).
    """

    migration: str
    database: str
    schemas: VersionSchemas
    shown: tuple[Shown, ...]
    usage: tuple[str, ...]
    role: str
    invoker: bool

    def opened(self) -> Ddl:
        """The step that makes all views of both versions, which nobody waits for."""
        new, old = self.schemas.new, self.schemas.old
        tables = ", ".join(shown.table.name.name for shown in self.shown)
        return Ddl(
            id=f"{self.schemas.tables}/versions/open",
            leg=EXPAND,
            database=self.database,
            title=f"show {tables} as views: to the new version in {new}, to the one before in {old}",
            locks=tuple(_read(shown) for shown in self.shown),
            statements=(
                *self._schema("new"),
                *self._schema("old"),
                *(made for shown in self.shown for made in self._view(shown, "new", "side by side")),
                *(made for shown in self.shown for made in self._view(shown, "old", "side by side")),
            ),
            undo=(*self._drops("new", EXPAND, "undo"), *self._drops("old", EXPAND, "undo")),
            undo_title="drop the views and their schemas",
        )

    def old_closed(self) -> Iterator[Ddl]:
        """The version before has no way in any more."""
        return self._closed("old", stage_leg("retire"))

    def new_closed(self) -> Iterator[Ddl]:
        """The tables are by now what the new version's views show, and are found where those are gone."""
        return self._closed("new", stage_leg("drop"))

    def _closed(self, version: Version, leg: Leg) -> Iterator[Ddl]:
        for shown, step in zip(self.shown, self._drops(version, leg), strict=True):
            moment = shown.last_before_retire if version == "old" else "retired"
            again = Ddl(
                id=f"{shown.table.name}/versions/open {version}",
                leg=leg,
                database=self.database,
                title=f"show {shown.table.name} in {self._called(version)} again",
                locks=(_read(shown),),
                statements=(*self._schema(version), *self._view(shown, version, moment)),
            )
            yield step.model_copy(update={"undo": (again,), "undo_title": "make the view again"})

    def _drops(self, version: Version, leg: Leg, *suffix: str) -> Iterator[Ddl]:
        """One view a step: a transaction that waits for a second one while it holds the first would make others wait.

        Who waits meanwhile for the name of a view that goes looks it up again, and finds the table.
        """
        schema = self._called(version)
        for shown in self.shown:
            is_last = shown is self.shown[-1]
            view = sql.SQL("DROP VIEW IF EXISTS {}").format(sql.Identifier(schema, shown.table.name.name))
            whole = sql.SQL("DROP SCHEMA IF EXISTS {}").format(sql.Identifier(schema))
            yield Ddl(
                id="/".join((str(shown.table.name), "versions", f"close {version}", *suffix)),
                leg=leg,
                database=self.database,
                title=f"drop view {shown.table.name.name} of {schema}" + (", and the schema" if is_last else ""),
                statements=text(view, *([whole] if is_last else ())),
            )

    def _called(self, version: Version) -> str:
        return self.schemas.new if version == "new" else self.schemas.old

    def _schema(self, version: Version) -> tuple[str, ...]:
        schema = sql.Identifier(self._called(version))
        which = "after" if version == "new" else "before"
        comment = f"crossfade: {self.schemas.tables} as the version {which} migration {self.migration} sees it"
        return text(
            sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(schema),
            sql.SQL("COMMENT ON SCHEMA {} IS {}").format(schema, sql.Literal(comment)),
            *_grants(self.usage, ("USAGE",), sql.SQL("SCHEMA {}").format(schema), self.role),
        )

    def _view(self, shown: Shown, version: Version, moment: Moment) -> tuple[str, ...]:
        view = Name(self._called(version), shown.table.name.name)
        invoker = self.invoker and not shown.has_column_rights
        return text(*_view(view, shown.table, shown.columns(version, moment), self.role, invoker=invoker))


def _view(
    view: Name, table: Table, columns: Iterable[ShownColumn], role: str, *, invoker: bool
) -> Iterator[sql.Composable]:
    called = identifier(view)
    columns = list(columns)
    yield sql.SQL("CREATE VIEW {}{} AS SELECT {} FROM {}").format(
        called,
        sql.SQL(" WITH (security_invoker = true)" if invoker else ""),
        sql.SQL(", ").join(
            sql.Identifier(column.physical)
            if column.physical == column.name
            else sql.SQL("{} AS {}").format(sql.Identifier(column.physical), sql.Identifier(column.name))
            for column in columns
        ),
        identifier(table.name),
    )
    if table.comment is not None:
        yield sql.SQL("COMMENT ON VIEW {} IS {}").format(called, sql.Literal(table.comment))
    yield from _grants(table.grants, _PRIVILEGES, called, role)
    for column in columns:
        if column.default is not None:
            yield sql.SQL("ALTER VIEW {} ALTER COLUMN {} SET DEFAULT {}").format(
                called, sql.Identifier(column.name), trusted(column.default)
            )
        if column.comment is not None:
            place = sql.Identifier(view.schema, view.name, column.name)
            yield sql.SQL("COMMENT ON COLUMN {} IS {}").format(place, sql.Literal(column.comment))
        yield from _grants(column.grants, _PRIVILEGES[:3], called, role, column=column.name)


def _grants(
    items: Iterable[str], privileges: tuple[str, ...], on: sql.Composable, role: str, *, column: str | None = None
) -> Iterator[sql.Composable]:
    """The same rights, to all but the role that owns what they are on."""
    of_column = sql.SQL(" ({})").format(names([column])) if column is not None else sql.SQL("")
    for found in granted(items, privileges):
        if found.grantee != role:
            said = [sql.SQL("{}{}").format(trusted(name), of_column) for name in privileges if name in found.privileges]
            yield sql.SQL("GRANT {} ON {} TO {}{}").format(
                sql.SQL(", ").join(said),
                on,
                sql.Identifier(found.grantee) if found.grantee else sql.SQL("PUBLIC"),
                sql.SQL(" WITH GRANT OPTION" if found.grantable else ""),
            )


def _read(shown: Shown) -> Lock:
    return Lock(relation=relation(shown.table.name), mode="ACCESS SHARE")
