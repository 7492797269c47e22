"""set_storage_parameters: how a table is stored, vacuumed and analysed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated

from pydantic import Field

from crossfade.catalog.model import Table
from crossfade.changes._change import Change, Compiled, Hazard
from crossfade.changes._context import Context
from crossfade.changes._instant import instant
from crossfade.composing import sql
from crossfade.spec.errors import did_you_mean
from crossfade.spec.values import Identifier
from crossfade.steps.compose import identifier, lock, relation
from crossfade.steps.step import EXPAND, Ddl

_VACUUM = (
    "autovacuum_enabled", "autovacuum_vacuum_threshold", "autovacuum_vacuum_scale_factor",
    "autovacuum_vacuum_insert_threshold", "autovacuum_vacuum_insert_scale_factor", "autovacuum_vacuum_cost_delay",
    "autovacuum_vacuum_cost_limit", "autovacuum_freeze_min_age", "autovacuum_freeze_max_age",
    "autovacuum_freeze_table_age", "autovacuum_multixact_freeze_min_age", "autovacuum_multixact_freeze_max_age",
    "autovacuum_multixact_freeze_table_age", "log_autovacuum_min_duration", "vacuum_index_cleanup", "vacuum_truncate",
    "autovacuum_vacuum_max_threshold", "vacuum_max_eager_freeze_failure_rate",
)  # fmt: skip
_KNOWN = (
    "fillfactor", "toast_tuple_target", "parallel_workers", "autovacuum_analyze_threshold",
    "autovacuum_analyze_scale_factor", *_VACUUM, *(f"toast.{name}" for name in _VACUUM),
)  # fmt: skip
_SINCE = {"autovacuum_vacuum_max_threshold": 18, "vacuum_max_eager_freeze_failure_rate": 18}


class SetStorageParameters(Change):
    """Set storage parameters of a table.

    `fillfactor`, the thresholds of autovacuum and the like; those of its TOAST table begin with `toast.`. Of a
    partitioned table they are set on each of its partitions, one at a time. In expand, in the catalog alone: rows that
    are there stay as they are, and a new `fillfactor` is for pages written from then on.

    ## Old and new versions

    Neither notices it.

    ## Undo

    Sets what was there when the plan was made, and takes away what was not set then.

    ## Locks

    SHARE UPDATE EXCLUSIVE on the table, or on one partition after the other, for an instant: reads and writes go on. It
    waits for a vacuum of the table, or ends it where it is autovacuum's.

    ## Hazards

    - `no-autovacuum`: without autovacuum dead rows pile up, and the table is vacuumed only against wraparound.

    A parameter that PostgreSQL, or the server's version of it, does not know is refused when planning; a value out of
    its range when it is set, and nothing is changed then.

    ## Example

    ```yaml
    changes:
      - set_storage_parameters:
          table: sessions
          set: {fillfactor: 80, autovacuum_vacuum_scale_factor: 0.01, toast.autovacuum_enabled: null}
    ```
    """

    table: Identifier = Field(description="A name in the `schema` of the database, or `schema.table`.")
    set: Annotated[Mapping[str, bool | int | float | str | None], Field(min_length=1)] = Field(
        description="Parameter: value; `null` takes it away, so that the server's own setting holds."
    )

    def compile(self, context: Context) -> Compiled:
        """One step in expand for each table that holds rows."""
        table = context.table(self.table)
        version = context.catalog.server.version // 10000
        for name in self.set:
            if name not in _KNOWN:
                context.refuse(
                    f"there is no storage parameter {name} of a table", fix=did_you_mean(name, _KNOWN), at=("set", name)
                )
            needed = _SINCE.get(name.removeprefix("toast."), 0)
            if version < needed:
                context.refuse(
                    f"{name} needs PostgreSQL {needed}, and {context.database} runs {version}", at=("set", name)
                )
        if self.set.get("autovacuum_enabled", True) in (False, "false", "off"):
            told = f"autovacuum leaves {table.name} alone: dead rows pile up until somebody vacuums it"
            fix = "say for how long, and set it to `null` with a migration that comes after"
            return Compiled(
                steps=tuple(self._steps(context, table)), hazards=(Hazard("no-autovacuum", "danger", told, fix),)
            )
        return Compiled(steps=tuple(self._steps(context, table)))

    def _steps(self, context: Context, table: Table) -> Iterator[Ddl]:
        named = ", ".join(self.set)
        for part in context.catalog.leaves(table.name):
            present = dict(each.split("=", 1) for each in part.storage_parameters)
            before = {name: present.get(name) for name in self.set}
            after = {name: None if value is None else _written(value) for name, value in self.set.items()}
            yield instant(
                context,
                EXPAND,
                f"{part.name}/storage/{named}",
                f"set {named} of {part.name}",
                list(_altered(part, after)),
                list(_altered(part, before)),
                "set what was there",
                locks=lock(relation(part.name), "SHARE UPDATE EXCLUSIVE"),
            )


def _written(value: bool | int | float | str) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _altered(table: Table, parameters: Mapping[str, str | None]) -> Iterator[sql.Composable]:
    given = [
        sql.SQL("{} = {}").format(_name(name), sql.Literal(value))
        for name, value in parameters.items()
        if value is not None
    ]
    taken = [_name(name) for name, value in parameters.items() if value is None]
    for word, clauses in (("SET", given), ("RESET", taken)):
        if clauses:
            alter = sql.SQL("ALTER TABLE {} SET ({})" if word == "SET" else "ALTER TABLE {} RESET ({})")
            yield alter.format(identifier(table.name), sql.SQL(", ").join(clauses))


def _name(parameter: str) -> sql.Composable:
    return sql.Identifier(*parameter.split("."))
