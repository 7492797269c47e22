"""create_extension: what a module of the server brings into a database."""

from __future__ import annotations

from pydantic import Field

from crossfade.changes._change import Change, Compiled, Hazard
from crossfade.changes._context import Context
from crossfade.changes._instant import instant
from crossfade.composing import sql
from crossfade.spec.errors import did_you_mean
from crossfade.spec.values import Identifier
from crossfade.steps.step import EXPAND


class CreateExtension(Change):
    """Create an extension.

    In expand. Where the database has it already, there is nothing to do, so that one spec does for databases with it
    and without. What the extension brings is used by a migration that has this one under `after`.

    ## Old and new versions

    The new version may use what it brings when expand has ended; the old one does not know it.

    ## Undo

    Drops the extension, if this migration created it. PostgreSQL refuses that while something uses it, and the rollback
    says what.

    ## Locks

    None on any table.

    ## Hazards

    - `already-there`: the database has it; nothing is done, now or by an undo.
    - `missing-right`: the role may not create it: one that PostgreSQL trusts is for roles with CREATE on the database,
      any other for superusers.

    Refused: an extension, or a version of it, that the server has not at hand; another version than the one that is
    there.

    ## Example

    ```yaml
    changes:
      - create_extension: {extension: pg_trgm}
    ```
    """

    extension: Identifier = Field(description="Its name.")
    schema_: Identifier | None = Field(
        None, alias="schema", description="Where what it brings is put; default: where the extension says."
    )
    version: str | None = Field(None, description="Default: the server's.", min_length=1)

    def compile(self, context: Context) -> Compiled:
        """One statement in expand, unless it is there."""
        name, there = self.extension, context.catalog.extensions.get(self.extension)
        if there is not None:
            if self.version not in (None, there):
                context.refuse(
                    f"{context.database} has {name} {there}, not {self.version}",
                    fix=f"update it with a `sql` change: ALTER EXTENSION {sql.Identifier(name).as_string(None)} UPDATE",
                    at=("version",),
                )
            return Compiled(hazards=(Hazard("already-there", "note", f"{context.database} has {name} {there}"),))
        at_hand = context.probe.extensions()
        if name not in at_hand:
            context.refuse(
                f"the server of {context.database} has no extension {name} at hand",
                why="its files are not installed there",
                fix=f"install the package that brings it, on every server; {did_you_mean(name, at_hand)}",
                at=("extension",),
            )
        if self.version is not None and self.version not in at_hand[name].versions:
            context.refuse(
                f"the server of {context.database} has no version {self.version} of {name} at hand",
                fix=f"it has: {', '.join(sorted(at_hand[name].versions))}",
                at=("version",),
            )
        clauses: list[sql.Composable] = []
        if self.schema_ is not None:
            if self.schema_ not in context.catalog.schemas:
                context.refuse(f"schema {self.schema_} does not exist in {context.database}", at=("schema",))
            clauses.append(sql.SQL(" SCHEMA {}").format(sql.Identifier(self.schema_)))
        if self.version is not None:
            clauses.append(sql.SQL(" VERSION {}").format(sql.Literal(self.version)))
        step = instant(
            context,
            EXPAND,
            f"extension/{name}/create",
            f"create extension {name}",
            [sql.SQL("CREATE EXTENSION {}{}").format(sql.Identifier(name), sql.Composed(clauses))],
            [sql.SQL("DROP EXTENSION IF EXISTS {}").format(sql.Identifier(name))],
            f"drop extension {name}",
        )
        return Compiled(steps=(step,), hazards=self._missing_right(context, at_hand[name].trusted))

    def _missing_right(self, context: Context, trusted: bool) -> tuple[Hazard, ...]:
        role = context.catalog.role
        if role.superuser or (trusted and role.may_create_schema):
            return ()
        fix = "let a superuser create it before"
        if trusted:
            fix = (
                sql.SQL("GRANT CREATE ON DATABASE {} TO {}")
                .format(sql.Identifier(context.catalog.database), sql.Identifier(role.name))
                .as_string(None)
            )
        return (
            Hazard("missing-right", "danger", f"role {role.name} may not create the extension {self.extension}", fix),
        )
