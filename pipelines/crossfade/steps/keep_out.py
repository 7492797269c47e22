"""New duplicates kept out: as a unique index would refuse them, before there can be one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from crossfade.composing import sql
from crossfade.steps.compose import identifier, lock, names, relation, text
from crossfade.steps.duplicates import Duplicates
from crossfade.steps.names import own_name
from crossfade.steps.plpgsql import quoted, settings_of
from crossfade.steps.step import AnyStep, BuildIndex, Ddl, DropIndex, Leg, Relation, stage_leg

_END = stage_leg("cutover")


@dataclass(frozen=True)
class KeepOut:
    """A trigger that refuses a write which brings a duplicate, from `leg` until contract.

    indexed: an index of the table finds duplicates; without it one is built for as long. search_path: where unqualified
    names in the spec's SQL are looked up.
    """

    id: str
    migration: str
    database: str
    leg: Leg
    of: Duplicates
    indexed: bool
    search_path: tuple[str, ...]

    @property
    def _name(self) -> str:
        return own_name(self.migration, "keep_out", self.id, self.of.table.name.name)

    @property
    def _index(self) -> str:
        return own_name(self.migration, "by", self.id, self.of.table.name.name)

    @property
    def _relation(self) -> Relation:
        return relation(self.of.table.name)

    def begin(self) -> Iterator[AnyStep]:
        """When the trigger is there, every write that brought a duplicate is committed: CREATE TRIGGER waits for it."""
        if not self.indexed:
            yield self._build(self.leg, "index")
        yield self._install(self.leg, "begin")

    def end(self) -> Iterator[AnyStep]:
        yield Ddl(
            id=f"{self.id}/keep_out/end",
            leg=_END,
            database=self.database,
            title=f"keep duplicates out of {self.of.table.name} no more",
            locks=lock(self._relation, "ACCESS EXCLUSIVE"),
            statements=self._gone(),
            undo=(self._install(_END, "end/undo").model_copy(update={"undo": ()}),),
            undo_title="keep them out again",
        )
        if not self.indexed:
            yield self._drop(_END, "index/end").model_copy(
                update={"undo": (self._build(_END, "index/end/undo"),), "undo_title": "build it again"}
            )

    def lift(self, step_id: str) -> Ddl:
        """Before rows come back that are duplicates."""
        return Ddl(
            id=step_id,
            leg=self.leg,
            database=self.database,
            title=f"let duplicates into {self.of.table.name} again",
            locks=lock(self._relation, "ACCESS EXCLUSIVE"),
            statements=self._gone(),
        )

    def _gone(self) -> tuple[str, ...]:
        return text(
            sql.SQL("DROP TRIGGER IF EXISTS {} ON {}").format(
                sql.Identifier(self._name), identifier(self.of.table.name)
            ),
            sql.SQL("DROP FUNCTION IF EXISTS {}()").format(sql.Identifier("crossfade", self._name)),
        )

    def _install(self, leg: Leg, purpose: str) -> Ddl:
        table = identifier(self.of.table.name)
        key = self.of.table.key
        body = sql.SQL(
            """
BEGIN
  IF NOT {matches} THEN
    RETURN NULL;
  END IF;
  IF tg_op = 'UPDATE' THEN
    IF {matched} AND {same} THEN
      RETURN NULL;
    END IF;
  END IF;
  -- Who writes the same values waits for the other one's commit, as at a unique index.
  PERFORM pg_catalog.pg_advisory_xact_lock(pg_catalog.hash_record_extended(ROW({values}), tg_relid::bigint));
  IF EXISTS (SELECT FROM {table} AS t WHERE {counts} AND {equals} AND ROW({key_t}) <> ROW({key_new})) THEN
    RAISE unique_violation
      USING MESSAGE = {message}, CONSTRAINT = {name}, TABLE = tg_table_name, SCHEMA = tg_table_schema;
  END IF;
  RETURN NULL;
END
"""
        ).format(
            matches=self.of.matches("new"),
            matched=self.of.matches("old"),
            same=self.of.equals("old", "new"),
            values=sql.SQL(", ").join(self.of.values("new")),
            table=table,
            counts=self.of.matches("t"),
            equals=self.of.equals("t", "new"),
            key_t=names(key, of="t"),
            key_new=names(key, of="new"),
            message=sql.Literal(f"another row of {self.of.table.name} has these values (migration {self.migration})"),
            name=sql.Literal(self._name),
        )
        function = sql.Identifier("crossfade", self._name)
        comment = f"crossfade: keeps new duplicates out of {self.of.table.name}; migration {self.migration}"
        return Ddl(
            id=f"{self.id}/keep_out/{purpose}",
            leg=leg,
            database=self.database,
            title=f"keep new duplicates out of {self.of.table.name} (trigger)",
            locks=lock(self._relation, "SHARE ROW EXCLUSIVE"),
            statements=text(
                # It sees all rows, whatever the writer may read.
                sql.SQL(
                    "CREATE OR REPLACE FUNCTION {}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER {} AS {}"
                ).format(function, settings_of(self.search_path), quoted(body)),
                sql.SQL("COMMENT ON FUNCTION {}() IS {}").format(function, sql.Literal(comment)),
                sql.SQL(
                    "CREATE OR REPLACE TRIGGER {} AFTER INSERT OR UPDATE ON {} FOR EACH ROW EXECUTE FUNCTION {}()"
                ).format(sql.Identifier(self._name), table, function),
            ),
            undo=(self.lift(f"{self.id}/keep_out/{purpose}/undo"),),
            undo_title="drop the trigger",
        )

    def _build(self, leg: Leg, purpose: str) -> BuildIndex:
        values = sql.SQL(", ").join(sql.SQL("({})").format(value) for value in self.of.values(None))
        statement = sql.SQL("CREATE INDEX CONCURRENTLY {} ON {} ({})").format(
            sql.Identifier(self._index), identifier(self.of.table.name), values
        )
        return BuildIndex(
            id=f"{self.id}/keep_out/{purpose}",
            leg=leg,
            database=self.database,
            title=f"build an index that finds duplicates in {self.of.table.name}",
            locks=lock(self._relation, "SHARE UPDATE EXCLUSIVE"),
            relation=self._relation,
            index=self._index,
            statement=statement.as_string(None),
            undo=() if purpose != "index" else (self._drop(leg, "index/undo"),),
            undo_title="drop the index",
        )

    def _drop(self, leg: Leg, purpose: str) -> DropIndex:
        return DropIndex(
            id=f"{self.id}/keep_out/{purpose}",
            leg=leg,
            database=self.database,
            title=f"drop the index that found duplicates in {self.of.table.name}",
            locks=lock(self._relation, "SHARE UPDATE EXCLUSIVE"),
            relation=self._relation,
            index=self._index,
        )
