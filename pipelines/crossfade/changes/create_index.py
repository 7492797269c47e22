"""create_index: an index built beside live traffic."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from crossfade.catalog.model import Index, Table
from crossfade.changes._change import Change, Compiled
from crossfade.changes._context import Context, Path
from crossfade.changes._mapping import checked
from crossfade.changes._obstacles import refuse_taken_relation
from crossfade.changes._partitions import refuse_foreign_partitions, refuse_unkeyed
from crossfade.changes._parts import built_index
from crossfade.composing import sql
from crossfade.spec.fragment import Expression, trusted
from crossfade.spec.values import Identifier, SpecModel
from crossfade.steps.compose import identifier, lock, names, relation
from crossfade.steps.indexes import IndexForm, build_index
from crossfade.steps.rules import Place
from crossfade.steps.step import VALIDATE, Check

_PARAMETERS = {
    "btree": {"fillfactor", "deduplicate_items"},
    "hash": {"fillfactor"},
    "gist": {"fillfactor", "buffering"},
    "spgist": {"fillfactor"},
    "gin": {"fastupdate", "gin_pending_list_limit"},
    "brin": {"pages_per_range", "autosummarize"},
}


class IndexPart(SpecModel):
    """A key of an index: a column or an expression, with its order."""

    column: Identifier | None = Field(None, description="A column, or")
    expression: Expression | None = Field(None, description="SQL over the row.")
    collation: Identifier | None = Field(None, description="A collation, or `schema.collation`.")
    opclass: str | None = Field(None, description="An operator class.", pattern=r"^[A-Za-z_][\w.]*$")
    order: Literal["asc", "desc"] | None = Field(None, description="Its order.")
    nulls: Literal["first", "last"] | None = Field(None, description="Where NULL stands.")

    @model_validator(mode="after")
    def _one_of_both(self) -> IndexPart:
        if (self.column is None) == (self.expression is None):
            raise ValueError("give either `column` or `expression`")
        return self


class CreateIndex(Change):
    """Create an index concurrently.

    It is built in validate: what it reads has been filled by then. With `unique`, duplicates are counted before the
    build. A build that was cut off leaves an invalid index; the next run drops it and builds again.

    ## Old and new versions

    Neither notices it. A unique index binds both from its build on.

    ## Undo

    Drops the index, concurrently; that of a partitioned table with its parts, under ACCESS EXCLUSIVE for an instant.

    ## Locks

    SHARE UPDATE EXCLUSIVE on the table: reads and writes go on. The build waits for transactions that are older
    than it, and that time counts against `locks.budget`.

    On a partitioned table the index is made ON ONLY it (SHARE, for an instant), then built concurrently on each
    partition and attached (ACCESS EXCLUSIVE on that partition, for an instant). Partitions that are made meanwhile
    get it by themselves. On a table that the same migration makes, it is plain DDL in expand.

    ## Hazards

    An index of that name which another made meanwhile is neither taken for it nor dropped: `crossfade up` is
    refused until it is gone or renamed, and `crossfade rollback` leaves it alone. A method, an operator class or a
    type that do not go together are refused when planned, and so is a unique index of a partitioned table that leaves
    the partition key out, or one over foreign partitions.

    ## Example

    ```yaml
    changes:
      - create_index:
          table: users
          name: users_active_email
          columns: [{expression: lower(email)}, {column: created_at, order: desc, nulls: last}]
          include: [name]
          where: deleted_at IS NULL
    ```
    """

    table: Identifier = Field(description="The table, or `schema.table`.")
    name: Identifier = Field(description="Its name.")
    columns: Annotated[tuple[Identifier | IndexPart, ...], Field(min_length=1)] = Field(
        description="Names of columns, or mappings."
    )
    unique: bool = Field(False, description="Duplicates are counted before the build.")
    nulls_distinct: bool = Field(True, description="With `unique`; `false` needs PostgreSQL 15 or later.")
    method: str = Field(
        "btree", description="The access method: `gin`, `gist`, `hash`, `brin`, ...", pattern=r"^[a-z_][a-z0-9_]*$"
    )
    include: tuple[Identifier, ...] = Field((), description="Columns that are only kept in it.")
    where: Expression | None = Field(None, description="SQL over the row, for a partial index.")
    storage_parameters: dict[Identifier, bool | int | float | str] = Field(
        default_factory=dict[str, bool | int | float | str],
        description="As in WITH: `fillfactor`, `pages_per_range`, `fastupdate`, ...",
    )
    tablespace: Identifier | None = Field(None, description="Where it is kept, when not in the database's default.")

    @model_validator(mode="after")
    def _nulls_matter(self) -> CreateIndex:
        if not self.nulls_distinct and not self.unique:
            raise ValueError("`nulls_distinct` says something of unique indexes only; say `unique: true` too")
        return self

    def compile(self, context: Context) -> Compiled:
        """One concurrent build in validate, after what it reads has been filled."""
        table = context.table(self.table)
        if not self.nulls_distinct:
            context.refuse_old_server()
        refuse_taken_relation(context, table, self.name)
        self._refuse_unsound(context, table)
        if table.kind == "partitioned":
            refuse_foreign_partitions(context, table)
            if self.unique:
                refuse_unkeyed(context, table, {part for part in self.columns if isinstance(part, str)}, ("columns",))
        bare = table.name.name
        leg = context.rules_leg if self.unique else VALIDATE
        keys = sql.SQL(", ").join(self._key(context, table, part) for part in self.columns)
        clauses: list[sql.Composable] = []
        if self.include:
            included = names(context.physical(table, column, "include") for column in self.include)
            clauses.append(sql.SQL("INCLUDE ({})").format(included))
        if self.unique and not self.nulls_distinct:
            clauses.append(sql.SQL("NULLS NOT DISTINCT"))
        if self.storage_parameters:
            clauses.append(sql.SQL("WITH ({})").format(self._parameters))
        if self.tablespace is not None:
            clauses.append(sql.SQL("TABLESPACE {}").format(sql.Identifier(self.tablespace)))
        if self.where is not None:
            clauses.append(sql.SQL("WHERE {}").format(self.where.render(bare, None, context.physical_names(table))))
        rest = sql.SQL("USING {} ({}) {}").format(sql.Identifier(self.method), keys, sql.SQL(" ").join(clauses))
        place = context.place(table, leg)
        form = IndexForm(self.unique, rest)
        asked = self._asked(context, place) if self.unique and not place.new else ()
        return Compiled(
            steps=(*asked, *build_index(place, self.name, form)),
            indexes=((table.name, self._made(place, form)),),
            needs=context.needs(table, sorted(self._read(bare))),
        )

    @property
    def _parameters(self) -> sql.Composed:
        said = sql.SQL("{} = {}")
        return sql.SQL(", ").join(
            said.format(sql.Identifier(name), sql.Literal(value)) for name, value in self.storage_parameters.items()
        )

    def _made(self, place: Place, form: IndexForm) -> Index:
        """The index as the catalog will have it, over the author's names."""
        return built_index(
            self.name,
            [part if isinstance(part, str) else part.column or "" for part in self.columns],
            form.create(self.name, place.relation, "plainly").as_string(None),
            method=self.method,
            reads=self._read(place.relation.name),
            unique=self.unique,
            predicate=self.where.text if self.where is not None else None,
        )

    def _read(self, table: str) -> set[str]:
        """The columns it names, in keys, INCLUDE and WHERE."""
        parts = [part for part in self.columns if isinstance(part, IndexPart)]
        expressions = [expression for expression in (self.where, *(part.expression for part in parts)) if expression]
        return {
            *self.include,
            *(part for part in self.columns if isinstance(part, str)),
            *(part.column for part in parts if part.column is not None),
            *(column for expression in expressions for column in expression.columns(table)),
        }

    def _refuse_unsound(self, context: Context, table: Table) -> None:
        """Expressions PostgreSQL would refuse only when the index is built."""
        row = context.new_row_types(table)
        self._refuse_unable(context)
        self._refuse_unknown_parameters(context)
        for index, part in enumerate(self.columns):
            at = ("columns", index)
            if isinstance(part, IndexPart) and part.collation is not None:
                with context.at(*at, "collation"):
                    name = sql.Identifier(*part.collation.split(".")).as_string(None)
                    context.probe.expression(Expression(f"'' COLLATE {name}"), table=table.name.name, row=row)
            named = part if isinstance(part, str) else part.column
            if named is not None:
                context.physical(table, named, *at)
                type_ = row[named]
            else:
                assert isinstance(part, IndexPart)
                assert part.expression is not None
                type_ = self._type(context, table, part.expression, (*at, "expression"))
            opclass = part.opclass if isinstance(part, IndexPart) else None
            with context.at(*at, *(("opclass",) if opclass else ())):
                context.probe.key(type_, self.method, opclass)
        if self.where is not None:
            self._type(context, table, self.where, ("where",))
            checked(context, table, self.where, row=row, wanted="boolean", field="where")

    def _type(self, context: Context, table: Table, expression: Expression, at: Path) -> str:
        """Of an expression that gives the same again for the same row."""
        with context.at(*at):
            facts = context.probe.expression(expression, table=table.name.name, row=context.new_row_types(table))
        if not facts.repeatable or "SubLink" in expression.nodes:
            context.refuse(
                f"`{expression}` may give another value for the same row",
                why="an index holds what its expressions gave when the row was written",
                fix="use immutable functions of the row's own columns only",
            )
        return facts.type

    def _refuse_unable(self, context: Context) -> None:
        """What indexes of the method cannot do, btree can."""
        with context.at("method"):
            abilities = context.probe.method(self.method)
        ordered = (("columns", i) for i, part in enumerate(self.columns) if _is_ordered(part))
        asked: tuple[tuple[str, Path | None, str], ...] = (
            ("can_unique", ("unique",) if self.unique else None, "be unique"),
            ("can_include", ("include",) if self.include else None, "hold more columns than their keys (`include`)"),
            ("can_order", next(ordered, None), "be ordered (`order`, `nulls`)"),
            ("can_multi_col", ("columns",) if len(self.columns) > 1 else None, "have more than one key"),
        )
        for ability, at, said in asked:
            if at is not None and ability not in abilities:
                context.refuse(
                    f"indexes of the method {self.method} cannot {said}",
                    why="PostgreSQL refuses it when the index is built",
                    fix="leave `method` out, or that",
                    at=at,
                )

    def _refuse_unknown_parameters(self, context: Context) -> None:
        """Those of the methods that PostgreSQL brings; others are asked when the index is built."""
        known = _PARAMETERS.get(self.method, set(self.storage_parameters))
        for name in self.storage_parameters:
            if name not in known:
                context.refuse(
                    f"indexes of the method {self.method} have no storage parameter {name}",
                    fix=f"known here: {', '.join(sorted(known))}",
                    at=("storage_parameters", name),
                )

    def _key(self, context: Context, table: Table, part: str | IndexPart) -> sql.Composable:
        if isinstance(part, str):
            return sql.Identifier(context.physical(table, part, "columns"))
        clauses = [
            sql.SQL("COLLATE {}").format(sql.Identifier(*part.collation.split("."))) if part.collation else None,
            trusted(part.opclass) if part.opclass else None,
            trusted(part.order.upper()) if part.order else None,
            trusted(f"NULLS {part.nulls.upper()}") if part.nulls else None,
        ]
        key = self._value(context, table, part)
        return sql.SQL(" ").join([key, *(clause for clause in clauses if clause is not None)])

    def _value(self, context: Context, table: Table, part: str | IndexPart) -> sql.Composable:
        """What an index key holds of a row."""
        if isinstance(part, str):
            return sql.Identifier(context.physical(table, part, "columns"))
        if part.expression is None:
            return sql.Identifier(context.physical(table, part.column or "", "columns"))
        names = context.physical_names(table)
        return sql.SQL("({})").format(part.expression.render(table.name.name, None, names))

    def _asked(self, context: Context, place: Place) -> tuple[Check, ...]:
        """Duplicates are counted first: a unique build that fails has cost the whole build."""
        table = context.table(self.table)
        keys = [self._value(context, table, part) for part in self.columns]
        held: list[sql.Composable] = []
        if self.nulls_distinct:
            held.extend(sql.SQL("{} IS NOT NULL").format(key) for key in keys)
        if self.where is not None:
            held.append(self.where.render(table.name.name, table.name.name, context.physical_names(table)))
        grouped = sql.SQL("SELECT 1 FROM {} {} GROUP BY {} HAVING pg_catalog.count(*) > 1").format(
            identifier(table.name),
            sql.SQL("WHERE {}").format(sql.SQL(" AND ").join(held)) if held else sql.SQL(""),
            sql.SQL(", ").join(keys),
        )
        words = f"values that stand in more than one row of {table.name}"
        query = sql.SQL("SELECT pg_catalog.count(*) AS {} FROM ({}) AS duplicates").format(
            sql.Identifier(words), grouped
        )
        return (
            Check(
                id=place.id("index", self.name, "ask"),
                leg=place.leg,
                database=context.database,
                title=f"ask that no two rows share the key of {self.name}",
                locks=lock(relation(table.name), "ACCESS SHARE"),
                query=query.as_string(None),
                fix="make the rows differ or merge them, then run `crossfade up` again",
            ),
        )


def _is_ordered(part: str | IndexPart) -> bool:
    return isinstance(part, IndexPart) and (part.order is not None or part.nulls is not None)
