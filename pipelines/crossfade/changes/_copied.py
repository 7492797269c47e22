"""The shape that a copied table has in the other database: what is carried, and what is refused by name."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from crossfade.catalog.model import Column, Constraint, Domain, Index, Table
from crossfade.changes._context import Context
from crossfade.changes._mapping import checked, expect
from crossfade.composing import sql
from crossfade.spec.fragment import Expression, trusted
from crossfade.steps.copying import Carried
from crossfade.steps.definitions import carried_index, check_text, index_texts, when_checked
from crossfade.steps.step import Relation


@dataclass(frozen=True)
class CopiedColumn:
    """A column of the target. of: the source's column, where its values are carried as they are."""

    carried: Carried
    of: Column | None

    @property
    def name(self) -> str:
        return self.carried.name


def copied_columns(
    context: Context, there: Context, table: Table, mapping: Mapping[str, Expression]
) -> tuple[CopiedColumn, ...]:
    """Those that hold values; generated ones are not among them, unless the mapping names them.

    there: of the target's database.
    """
    if not mapping:
        return tuple(_as_is(context, there, column.name, column) for column in table.columns if not column.generated)
    found: list[CopiedColumn] = []
    for name, expression in mapping.items():
        at = ("columns", name)
        if (source := expression.is_column) is not None:
            with context.at(*at):
                found.append(_as_is(context, there, name, context.column(table, source, *at)))
            continue
        facts = context.probe.expression(expression, table=table.name.name, row=context.row_types(table))
        checked(
            context, table, expression, row=context.row_types(table), wanted=facts.type, field=f"column {name}", at=at
        )
        _refuse_unsteady(context, expression, repeatable=facts.repeatable, at=at)
        if "." in facts.type:
            context.refuse(
                f"column {name} would be of type {facts.type}, which is this database's own",
                fix="cast it, e.g. to text",
                at=at,
            )
        value = expression.render(table.name.name, "t")
        found.append(CopiedColumn(Carried(name, value, facts.type), None))
    return tuple(found)


def refuse_unsteady(context: Context, table: Table, where: Expression) -> None:
    """A filter that does not tell the same of the same row, or looks at others."""
    facts = checked(context, table, where, row=context.row_types(table), wanted="boolean", field="where")
    _refuse_unsteady(context, where, repeatable=facts.repeatable, at=("where",))


def _refuse_unsteady(context: Context, expression: Expression, *, repeatable: bool, at: tuple[str, ...]) -> None:
    if "SubLink" in expression.nodes:
        context.refuse(
            "a copied row is made from one row alone",
            why="what a sub-select reads may change without that row being written, and nobody would carry it over",
            fix="carry the other table too, and join them there",
            at=at,
        )
    if not repeatable:
        context.refuse(
            f"{expression} gives another value at another moment",
            why="both tables could not be compared",
            fix="use what the row holds",
            at=at,
        )


def _as_is(context: Context, there: Context, name: str, column: Column) -> CopiedColumn:
    _refuse_foreign_type(context, there, column)
    if column.collation is not None and column.collation.schema != "pg_catalog":
        context.refuse(f"collation {column.collation} of column {column.name} is this database's own")
    return CopiedColumn(Carried(name, sql.Identifier("t", column.name), column.type), column)


def _refuse_foreign_type(context: Context, there: Context, column: Column) -> None:
    """A type that is not PostgreSQL's own has to be the same on the other side."""
    named = column.type_name
    if named.schema == "pg_catalog":
        return
    enum, other = context.catalog.enums.get(named), there.catalog.enums.get(named)
    if enum is not None and other is not None and enum.values == other.values:
        return
    domain, known = context.catalog.domains.get(named), there.catalog.domains.get(named)
    if domain is not None and known is not None and "." not in domain.type and _rules(domain) == _rules(known):
        return
    context.refuse(
        f"column {column.name} is of type {named}, which database {there.database} does not have like that",
        why="enums with the same values and domains with the same rules are carried, and no other types of one's own",
        fix=f"create it there first, or name the columns and carry text: `{column.name}: {column.name}::text`",
        at=("columns",),
    )


def _rules(domain: Domain) -> tuple[object, ...]:
    return domain.type, domain.not_null, domain.constraints


@dataclass(frozen=True)
class Shape:
    """The target as it is made. columns: in order, with what they are made from."""

    context: Context
    there: Context
    source: Table
    target: Relation
    columns: tuple[CopiedColumn, ...]
    key: tuple[str, ...]
    without: Collection[str]

    def made(self) -> Iterator[sql.Composable]:
        """The table with its key and checks, in statements."""
        parts = [self._column(column) for column in self.columns]
        parts += [self._generated(column) for column in self._generated_columns()]
        parts.append(sql.SQL("PRIMARY KEY ({})").format(sql.SQL(", ").join(map(sql.Identifier, self.key))))
        parts += [
            sql.SQL("CONSTRAINT {} {}").format(sql.Identifier(rule.name), trusted(rule.definition))
            for rule in self.source.constraints
            if rule.kind == "check" and rule.name not in self.without
        ]
        name = sql.Identifier(self.target.schema_name, self.target.name)
        yield sql.SQL("CREATE TABLE {} (\n  {}\n)").format(name, sql.SQL(",\n  ").join(parts))
        if self.source.comment:
            yield sql.SQL("COMMENT ON TABLE {} IS {}").format(name, sql.Literal(self.source.comment))
        for column, known in self._known():
            if known.comment:
                where = sql.Identifier(self.target.schema_name, self.target.name, column)
                yield sql.SQL("COMMENT ON COLUMN {} IS {}").format(where, sql.Literal(known.comment))

    def indexed(self) -> Iterator[sql.Composable]:
        """Indexes and unique rules, made when the rows are there."""
        name = sql.Identifier(self.target.schema_name, self.target.name)
        for index in self._indexes():
            text = carried_index(index, name=index.name, columns={}, table=self.target, concurrently=False)
            yield trusted(text)
            rule = self._rule(index)
            if rule is not None:
                yield sql.SQL("ALTER TABLE {} ADD CONSTRAINT {} UNIQUE USING INDEX {}{}").format(
                    name, sql.Identifier(rule.name), sql.Identifier(index.name), trusted(when_checked(rule.definition))
                )

    def unindexed(self) -> Iterator[sql.Composable]:
        for index in self._indexes():
            if (rule := self._rule(index)) is not None:
                yield sql.SQL("ALTER TABLE {} DROP CONSTRAINT IF EXISTS {}").format(
                    sql.Identifier(self.target.schema_name, self.target.name), sql.Identifier(rule.name)
                )
            else:
                yield sql.SQL("DROP INDEX IF EXISTS {}").format(sql.Identifier(self.target.schema_name, index.name))

    def sequences(self) -> Iterator[tuple[str, str]]:
        """As SQL, with the target's column that goes on with its numbers."""
        for column in self.columns:
            if column.of is not None and (sequence := self._numbers(column.of)) is not None:
                yield sequence, column.name

    def refuse_uncarried(self) -> None:
        """What belongs to the source and cannot be carried, unless the spec says that it stays behind."""
        left = dict(self._uncarried())
        if unknown := [name for name in self.without if name not in left]:
            self.context.refuse(
                f"`without` names {unknown[0]}, and nothing of {self.source.name} that stays behind is called so",
                fix=f"these stay behind: {', '.join(left) or 'none'}",
                at=("without",),
            )
        if missing := [what for name, what in left.items() if name not in self.without]:
            names = ", ".join(name for name in left)
            self.context.refuse(
                f"not carried to {self.there.database}: {', '.join(missing)}",
                why="the copy would do without, and nobody would have said so",
                fix=f"say that they stay behind: `without: [{names}]`, and make there what is needed",
                at=("without",),
            )

    def _uncarried(self) -> Iterator[tuple[str, str]]:
        for rule in self.source.constraints:
            whole = self._has(rule.columns)
            if rule.kind in ("foreign_key", "exclude"):
                yield rule.name, f"{rule.kind.replace('_', ' ')} {rule.name}"
            elif rule.kind == "check" and not (whole and rule.validated and self._is_known(check_text(rule))):
                yield rule.name, f"check {rule.name}"
        for index in self.source.indexes:
            if not self._is_key(index) and self._excludes(index) is None and not self._can_carry(index):
                yield index.name, f"index {index.name}"
        for trigger in self.source.user_triggers:
            yield trigger.name, f"trigger {trigger.name}"
        for policy in self.source.policies:
            yield policy.name, f"policy {policy.name}"
        for rule in self.source.rules:
            yield rule.name, f"rule {rule.name}"
        for statistics in self.source.statistics:
            yield statistics.name.name, f"statistics {statistics.name.name}"

    def _indexes(self) -> list[Index]:
        return [
            index
            for index in self.source.indexes
            if not self._is_key(index)
            and self._excludes(index) is None
            and index.name not in self.without
            and self._can_carry(index)
        ]

    def _can_carry(self, index: Index) -> bool:
        return index.valid and self._has(index.reads) and all(map(self._is_known, index_texts(index)))

    def _is_known(self, expression: str) -> bool:
        """The functions in it are PostgreSQL's own, or have none of a schema: those of others may do another thing."""
        return all(name[0] == "pg_catalog" or len(name) == 1 for name in Expression(expression).functions)

    def _excludes(self, index: Index) -> Constraint | None:
        rules = self.source.constraints
        return next((rule for rule in rules if rule.index == index.name and rule.kind == "exclude"), None)

    def _rule(self, index: Index) -> Constraint | None:
        rules = self.source.constraints
        return next((rule for rule in rules if rule.name == index.constraint and rule.kind == "unique"), None)

    def _is_key(self, index: Index) -> bool:
        return index.primary or (index.unique and index.columns == self.source.key and index.predicate is None)

    def _has(self, columns: Collection[str]) -> bool:
        """All of them are carried as they are, under their own names."""
        own = {column.name for column in self.columns if column.of is not None and column.of.name == column.name}
        return set(columns) <= own | {column.name for column in self._generated_columns()}

    def _known(self) -> Iterator[tuple[str, Column]]:
        yield from ((column.name, column.of) for column in self.columns if column.of is not None)
        yield from ((column.name, column) for column in self._generated_columns())

    def _generated_columns(self) -> Sequence[Column]:
        named = {column.name for column in self.columns}
        values = {column.name for column in self.source.columns if not column.generated}
        whole = values <= {c.name for c in self.columns if c.of is not None and c.of.name == c.name}
        return [c for c in self.source.columns if c.generated and c.name not in named] if whole else []

    def _generated(self, column: Column) -> sql.Composable:
        kind = trusted((column.generated or "stored").upper())
        return sql.SQL("{} {} GENERATED ALWAYS AS ({}) {}").format(
            sql.Identifier(column.name), trusted(column.type), trusted(column.default or ""), kind
        )

    def _column(self, column: CopiedColumn) -> sql.Composable:
        clauses: list[sql.Composable] = [sql.Identifier(column.name), trusted(column.carried.type)]
        known = column.of
        if known is None or known.generated:
            return sql.SQL(" ").join(clauses)
        if known.collation is not None:
            clauses.append(sql.SQL("COLLATE {}").format(sql.Identifier(known.collation.schema, known.collation.name)))
        if self._numbers(known) is not None:
            clauses.append(sql.SQL("GENERATED BY DEFAULT AS IDENTITY"))
        elif known.default is not None:
            with self.context.at("columns", column.name):
                row = dict[str, str]()
                default = Expression(known.default)
                expect(self.there, default, table=self.target.name, row=row, wanted=known.type, field="default")
            clauses.append(sql.SQL("DEFAULT {}").format(trusted(f"({known.default})")))
        if known.not_null:
            clauses.append(sql.SQL("NOT NULL"))
        return sql.SQL(" ").join(clauses)

    def _numbers(self, column: Column) -> str | None:
        """The sequence that numbers the column, as SQL: of an identity, and of a serial, which becomes one."""
        for sequence in self.context.catalog.sequences.values():
            is_its = sequence.owned_by == (self.source.name, column.name)
            if is_its and (column.identity or "nextval" in (column.default or "")):
                return sql.Identifier(sequence.name.schema, sequence.name.name).as_string(None)
        return None
