"""set_row_security: whether the policies of a table bind, and whether they bind its owner."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import Field, model_validator

from crossfade.catalog.model import Table
from crossfade.changes._change import Change, Compiled, Hazard
from crossfade.changes._context import Context
from crossfade.changes._instant import instant
from crossfade.composing import sql
from crossfade.spec.fragment import trusted
from crossfade.spec.values import Identifier
from crossfade.steps.compose import identifier, lock, relation
from crossfade.steps.step import EXPAND, Leg, stage_leg


class SetRowSecurity(Change):
    """Switch row security of a table on or off.

    With `enabled: true` the policies of the table bind: a role has the rows that a permissive policy lets it have, less
    those that a restrictive one keeps from it. The table's owner, superusers and roles with BYPASSRLS have all rows.
    With `forced: true` policies bind the owner too; superusers and roles with BYPASSRLS never. A table without policies
    then has no rows at all for whoever is bound.

    It is done at `retire`, since it is for both versions alike, and the old one is gone by then. Say `at: expand` or
    `at: cutover` where the old version may be bound too, or must be. On a table that the same migration makes it is
    done in expand.

    Of a partitioned table it is about statements that name the table itself; one that names a partition goes by the
    partition's own row security, which is a change of its own.

    ## Old and new versions

    Both see and write all rows until the stage, and what the policies let them from then on. A SELECT, UPDATE or DELETE
    finds fewer rows and does not fail; an INSERT of a row that no policy lets through fails. Whoever asks with
    `row_security = off`, as pg_dump does, fails where a policy would hide rows.

    ## Undo

    Switches it to what it was.

    ## Locks

    ACCESS EXCLUSIVE on the table for an instant.

    ## Hazards

    - `no-rows-left`: it is enabled, and no permissive policy is there, nor made by this migration above this change.
    - `rows-hidden`: rows that the old version has are hidden from it, or statements of it fail, with `at: expand` or
      `cutover`.
    - `rows-shown`: rows that policies hide are there for everybody who may read the table.
    - `binds-owner`: `forced` binds the role that migrates too, where it owns the table: what crossfade, pg_dump and
      other tools of the owner read then fails, or is not all.

    What it says already is refused.

    ## Example

    ```yaml
    changes:
      - create_policy: {table: notes, name: of_tenant, using: "tenant = current_setting('app.tenant')::int"}
      - set_row_security: {table: notes, enabled: true}
    ```
    """

    table: Identifier = Field(description="The table, or `schema.table`.")
    enabled: bool | None = Field(None, description="Whether policies bind at all; left out: as it is.")
    forced: bool | None = Field(None, description="Whether they bind the table's owner too; left out: as it is.")
    at: Literal["expand", "cutover", "retire"] = Field("retire", description="When it is done.")

    @model_validator(mode="after")
    def _says_something(self) -> SetRowSecurity:
        if self.enabled is None and self.forced is None:
            raise ValueError("say `enabled`, `forced` or both")
        return self

    def compile(self, context: Context) -> Compiled:
        """One statement; what was there is in the catalog."""
        table = context.table(self.table)
        forth = [_clause(*each) for each in self._wanted(table)]
        if not forth:
            said = " and ".join(f"`{key}: {str(value).lower()}`" for key, value in self._said())
            context.refuse(f"{table.name} has {said} already", fix="leave this change out", at=(self._said()[0][0],))
        back = [_clause(key, not value) for key, value in reversed(self._wanted(table))]
        altered = sql.SQL("ALTER TABLE {} {}")
        step = instant(
            context,
            self._leg(context, table),
            f"{table.name}/row security",
            f"{' and '.join(map(_words, forth))} of {table.name}",
            (altered.format(identifier(table.name), trusted(", ".join(forth))),),
            (altered.format(identifier(table.name), trusted(", ".join(back))),),
            f"{' and '.join(map(_words, back))} of {table.name}",
            locks=lock(relation(table.name), "ACCESS EXCLUSIVE", alone=True),
        )
        return Compiled(steps=(step,), hazards=tuple(self._hazards(context, table)))

    def _leg(self, context: Context, table: Table) -> Leg:
        if self.at == "expand" or context.is_new(table):
            return EXPAND
        return stage_leg(self.at)

    def _said(self) -> list[tuple[str, bool]]:
        return [(k, v) for k, v in (("enabled", self.enabled), ("forced", self.forced)) if v is not None]

    def _wanted(self, table: Table) -> list[tuple[str, bool]]:
        now = {"enabled": table.row_security, "forced": table.force_row_security}
        return [(key, value) for key, value in self._said() if now[key] is not value]

    def _hazards(self, context: Context, table: Table) -> Iterator[Hazard]:
        wanted = dict(self._wanted(table))
        on = table.row_security if self.enabled is None else self.enabled
        if wanted.get("enabled") is True or (on and wanted.get("forced") is True):
            yield from self._hiding(context, table, of_owner="enabled" not in wanted)
        if wanted.get("enabled") is False and table.policies:
            named = ", ".join(policy.name for policy in table.policies)
            what = f"from {self.at} on {named} of {table.name} hide nothing from anybody who may read the table"
            yield Hazard("rows-shown", "danger", what, "let a gate hold it back until no version relies on them")
        if on and wanted.get("forced") is True and not context.catalog.role.sees_every_row:
            what = f"policies of {table.name} bind {table.owner} too, who owns it, and so what migrates as that role"
            yield Hazard("binds-owner", "danger", what, "migrate as a role with BYPASSRLS")

    def _hiding(self, context: Context, table: Table, *, of_owner: bool) -> Iterator[Hazard]:
        whom = f"{table.owner}, who owns it," if of_owner else f"nobody but {table.owner}, who owns it,"
        if not any(policy.permissive for policy in table.policies):
            what = f"{table.name} has no permissive policy: {whom} has {'no' if of_owner else 'any'} row of it"
            yield Hazard("no-rows-left", "danger", what, "create a policy in this migration, above this change")
        if self.at != "retire" and not context.is_new(table):
            what = f"from {self.at} on policies bind the old version too: rows of {table.name} may be hidden from it,"
            yield Hazard(
                "rows-hidden",
                "danger",
                f"{what} and its writes fail",
                "leave `at` out, so that it is done when the old version is gone; or see that the policies let it have"
                " what it needs",
            )


def _clause(key: str, on: bool) -> str:
    if key == "enabled":
        return f"{'ENABLE' if on else 'DISABLE'} ROW LEVEL SECURITY"
    return f"{'FORCE' if on else 'NO FORCE'} ROW LEVEL SECURITY"


def _words(clause: str) -> str:
    return clause.lower().replace("row level security", "row security")
