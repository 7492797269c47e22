"""Indexes of a table whose foreign key follows another key: over the new column, as there are over the old ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count

import postgast

from crossfade.catalog.model import Index
from crossfade.changes._change import Hazard
from crossfade.changes._context import Context
from crossfade.changes._obstacles import refuse_taken_relation, rule_name
from crossfade.composing import sql
from crossfade.spec.fragment import Expression
from crossfade.steps import definitions
from crossfade.steps.compose import identifier
from crossfade.steps.indexes import build_one
from crossfade.steps.rekey import Referring, Rekeyed
from crossfade.steps.step import VALIDATE, BuildIndex


@dataclass(frozen=True)
class IndexesOf:
    """By which the new column is found as the old ones were."""

    context: Context
    key: Rekeyed
    child: Referring

    def made(self) -> tuple[tuple[BuildIndex, ...], tuple[Hazard, ...]]:
        """Steps that build them; and what is said of those that nothing replaces, or that are there twice."""
        child = self.child
        alone = len(child.columns) == 1 and bool(child.leaving)
        made: list[BuildIndex] = []
        told: list[Hazard] = []
        led = False
        for index in child.table.indexes:
            if index.primary or not index.valid or not index.reads & set(child.leaving):
                continue
            if index.unique:
                told.append(_race(child, index))
            if alone:  # those of a column that one other replaces are built again for that
                self._refuse_unfit(index)
                led = led or (index.columns[:1] == child.columns and index.predicate is None)
            elif set(child.columns) <= set(index.columns) and not _reads_elsewhere(child, index):
                made.append(self._merged(index, made))
                led = led or (index.columns[0] in child.columns and index.predicate is None)
            elif index.unique:
                self._refuse_parted(index)
            else:
                told.append(_goes(child, index))
        if not led:
            made.append(self._plain(made))
        return tuple(made), tuple(told)

    def _refuse_unfit(self, index: Index) -> None:
        said = postgast.parse(index.definition).stmts[0].stmt.index_stmt.index_params
        spelled = any(part.index_elem.name in self.child.columns and part.index_elem.opclass for part in said)
        if spelled or _reads_elsewhere(self.child, index):
            self.context.refuse(
                f"index {index.name} of {self.child.table.name} is made for {self.child.columns[0]} as it is",
                why=f"it would not fit {self.child.column}, which is {self.key.type}",
                fix="drop it before this migration, and create what shall take its place after it",
            )

    def _refuse_parted(self, index: Index) -> None:
        self.context.refuse(
            f"unique index {index.name} of {self.child.table.name} holds some of the columns that refer, or others"
            " beside them in an expression",
            why="no rule over the new column says the same, and it would go with these columns",
            fix="say under `keep` which of them stay, or drop it before this migration",
        )

    def _merged(self, index: Index, made: Sequence[BuildIndex]) -> BuildIndex:
        """The same index with the new column where the first of the old ones was."""
        tree = postgast.parse(index.definition)
        statement = tree.stmts[0].stmt.index_stmt
        if statement.nulls_not_distinct and not self.child.required:
            self._refuse_parted(index)
        parts = [*statement.index_params]
        first = next(number for number, part in enumerate(parts) if part.index_elem.name in self.child.columns)
        parts[first].index_elem.name = self.child.column
        parts[first].index_elem.ClearField("opclass")
        parts[first].index_elem.ClearField("collation")
        kept = [part for n, part in enumerate(parts) if n == first or part.index_elem.name not in self.child.columns]
        named = "_".join(part.index_elem.name or "expr" for part in kept)
        name = self._free(named, "key" if index.unique else "idx", made)
        statement.idxname = name
        statement.concurrent = True
        copies = [type(part).FromString(part.SerializeToString()) for part in kept]
        del statement.index_params[:]
        statement.index_params.extend(copies)
        return self._built(name, postgast.deparse(tree), unique=index.unique)

    def _plain(self, made: Sequence[BuildIndex]) -> BuildIndex:
        name = self._free(self.child.column, "idx", made)
        statement = sql.SQL("CREATE INDEX CONCURRENTLY {} ON {} ({})").format(
            sql.Identifier(name), identifier(self.child.table.name), sql.Identifier(self.child.column)
        )
        return self._built(name, statement.as_string(None), unique=False)

    def _free(self, columns: str, label: str, made: Sequence[BuildIndex]) -> str:
        """As PostgreSQL would call it; where several are over the same columns, they are counted."""
        taken = {step.index for step in made}
        names = (rule_name(self.child.table.name.name, columns, f"{label}{number or ''}") for number in count())
        name = next(each for each in names if each not in taken)
        refuse_taken_relation(self.context, self.child.table, name)
        return name

    def _built(self, name: str, statement: str, *, unique: bool) -> BuildIndex:
        place = self.child.place(self.key, VALIDATE)
        return build_one(place, place.id("index", name), name, statement, unique=unique)


def _reads_elsewhere(child: Referring, index: Index) -> bool:
    """In an expression, its predicate, or INCLUDE."""
    table = child.table.name.name
    read = {name for text in definitions.index_texts(index) for name in Expression(text).columns(table)}
    included = postgast.parse(index.definition).stmts[0].stmt.index_stmt.index_including_params
    return bool(set(child.columns) & {*read, *(part.index_elem.name for part in included)})


def _race(child: Referring, index: Index) -> Hazard:
    return Hazard(
        "on-conflict-race",
        "note",
        f"from validate to drop INSERT ... ON CONFLICT by {index.name} of {child.table.name} may raise a unique"
        f" violation of the index over {child.column} where another session inserts the same values at the same"
        " instant",
        "let the application try again on SQLSTATE 23505, as it may have to after 40001",
    )


def _goes(child: Referring, index: Index) -> Hazard:
    return Hazard(
        "goes-with-columns",
        "warning",
        f"index {index.name} of {child.table.name} goes with {', '.join(sorted(index.reads & set(child.leaving)))}",
        f"create_index in a migration that comes `after`, over {child.column} or what else is asked for",
    )
