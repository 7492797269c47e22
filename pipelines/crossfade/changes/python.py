"""python: columns set by a function over rows, for what SQL cannot say."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Annotated

from pydantic import AfterValidator, Field

from crossfade.catalog.model import Table
from crossfade.changes._change import Change, Compiled, Mapped
from crossfade.changes._context import Context
from crossfade.changes._mapping import checked
from crossfade.changes._set_rows import SetRows
from crossfade.composing import sql
from crossfade.spec.fragment import Expression
from crossfade.spec.model import digest
from crossfade.spec.project import find_root
from crossfade.spec.values import Identifier
from crossfade.steps.compose import any_leaf, given_values, names, per_leaf
from crossfade.steps.names import own_name
from crossfade.steps.step import Function


def _beside(name: str) -> str:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or path.suffix != ".py":
        raise ValueError("a .py file in the folder of this spec, or in one below it")
    return name


class Python(Change):
    """Set columns of existing rows by a function in Python, for what SQL cannot say.

    The function gets the rows of a batch, a list of dicts with the table's key and what `reads` names, and gives a list
    of as many dicts, in the same order, with just the columns of `sets`. It stands in a file beside the spec, is given
    nothing but rows, and must give the same again for the same rows: a batch that is cut off is asked again. It may
    import the standard library and what is installed where crossfade runs.

        def change(rows):
            return [{"phone": normalised(row["phone"])} for row in rows]

    All else is as with [update_rows](update_rows.md): batches beside live traffic, each row once, old values kept, the
    walk resumed where it was cut off. The file is frozen with the spec: once the migration has started, an edited one
    is refused as an edited spec is, with the difference.

    ## Old and new versions

    Both see each row's new values when its batch is done. Rows written later are not set.

    ## Undo

    Gives rows their old values back, by key, where nobody has written since. It does not call the function.

    ## Locks

    The rows of a batch, for as long as the function takes and the batch is written, about `backfill.target`; nothing on
    the table that makes reads or writes wait.

    ## Hazards

    - What the function raises stops the phase; of it the type and the line are told, not the words, which may hold
      values of rows. A value that PostgreSQL refuses makes the row a conflict, as with `update_rows`.
    - Refused when planning: a table without a primary key, or a unique index over NOT NULL columns; a file that is not
      Python or has no such function at its top level.

    ## Example

    ```yaml
    changes:
      - python:
          table: users
          file: changes.py
          function: normalise_phones
          reads: [phone, country]
          sets: [phone]
          where: phone IS NOT NULL
    ```
    """

    table: Identifier = Field(description="The table; it needs a primary key, or a unique index over NOT NULL columns.")
    file: Annotated[str, AfterValidator(_beside)] = Field(description="The file, from the folder of the spec.")
    function: str = Field("change", pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", description="The function's name.")
    reads: tuple[Identifier, ...] = Field((), description="Columns that the function gets besides the key.")
    sets: Annotated[tuple[Identifier, ...], Field(min_length=1)] = Field(
        description="Columns that it gives values for, all of them for each row."
    )
    where: Expression | None = Field(None, description="SQL over the row: which rows; without it all.")

    @property
    def files(self) -> tuple[str, ...]:
        return (self.file,)

    def compile(self, context: Context) -> Compiled:
        """As update_rows, with a function in the walk."""
        table = context.table(self.table)
        rows = SetRows(context, table, tuple(dict.fromkeys(self.sets)), self.where)
        rows.refuse_unfit("sets")
        for name in self.reads:
            context.column(table, name, "reads")
        if self.where is not None:
            checked(context, table, self.where, row=context.row_types(table), wanted="boolean", field="where")
        given = _Given(self, table, *self._found(context))
        values: dict[str, sql.Composable] = {name: sql.Identifier("batch", _given(name)) for name in rows.columns}
        maps = tuple(Mapped(table.name, name, self.reads, f"{self.function} of {self.file}") for name in rows.columns)
        return Compiled(steps=rows.steps(values, given), maps=maps)

    def _found(self, context: Context) -> tuple[str, str]:
        """The file's path from the project's root, and its digest."""
        path = context.where.file.resolve().parent / self.file
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            fix = "write its path from the folder of this spec"
            context.refuse(f"{self.file} cannot be read: {type(error).__name__}", fix=fix, at=("file",))
        try:
            tree = ast.parse(text)
        except SyntaxError as error:
            context.refuse(f"{self.file} is not Python: line {error.lineno}", why=error.msg, at=("file",))
        defined = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
        if self.function not in defined:
            context.refuse(
                f"{self.file} has no function {self.function}",
                fix=f"it has: {', '.join(defined) or 'none at its top level'}",
                at=("function",),
            )
        return path.relative_to(find_root(path.parent)).as_posix(), digest(text)


@dataclass(frozen=True)
class _Given:
    """The function's values in a walk."""

    change: Python
    table: Table
    path: str
    digest: str

    @property
    def _columns(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(self.change.sets))

    @property
    def joined(self) -> sql.Composable:
        return sql.SQL(" JOIN {} AS g (tid, {}) ON g.tid = t.ctid").format(
            given_values(), names(map(_given, self._columns))
        )

    @property
    def carried(self) -> sql.Composable:
        return sql.SQL(", {}").format(names(map(_given, self._columns), of="g"))

    def function(self, due: sql.Composable) -> Function:
        handed = dict.fromkeys((*self.table.key, *self.change.reads))
        rows = sql.SQL("SELECT t.ctid::text, {} FROM {} AS t WHERE {} FOR NO KEY UPDATE SKIP LOCKED").format(
            names(handed, of="t"), any_leaf(), due
        )
        return Function(
            path=self.path,
            name=self.change.function,
            digest=self.digest,
            rows=per_leaf(rows),
            types={name: self.table.by_name[name].type for name in self._columns},
        )


def _given(column: str) -> str:
    return own_name("given", column)
