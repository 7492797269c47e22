"""A table's writes captured by key: triggers that note in a table of ours which rows were written, never with what.

A note is a row of its own, so that no two writers meet in one; who reads it looks up what the row is then.
"""

from __future__ import annotations

from dataclasses import dataclass

from crossfade.catalog.model import Table
from crossfade.composing import sql
from crossfade.spec.fragment import trusted
from crossfade.steps.compose import identifier, lock, names, relation, text
from crossfade.steps.names import own_name
from crossfade.steps.plpgsql import commented, quoted, search_path
from crossfade.steps.step import EXPAND, Ddl, Leg, Relation


@dataclass(frozen=True)
class Capture:
    """The captured writes of one table of one migration. shown: what they are for, in words."""

    migration: str
    database: str
    table: Table
    key: tuple[str, ...]
    shown: str

    @property
    def relation(self) -> Relation:
        return Relation(schema_name="crossfade", name=self._own("captured"))

    @property
    def noted(self) -> tuple[str, ...]:
        """What the columns of the key are called there: the user's own names may be taken."""
        return tuple(f"key_{number}" for number in range(1, len(self.key) + 1))

    def begin(self, step_id: str) -> Ddl:
        """From its commit on every write is captured: the lock waits for those that are under way."""
        captured, function = self._captured, self._function
        where = identifier(self.table.name)
        columns = sql.SQL(", ").join(
            sql.SQL("{} {}").format(sql.Identifier(name), trusted(self.table.by_name[column].type))
            for name, column in zip(self.noted, self.key, strict=True)
        )
        statements: list[sql.Composable] = [
            sql.SQL(
                "CREATE TABLE {} (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,"
                " emptied boolean NOT NULL DEFAULT false, {})"
            ).format(captured, columns),
            sql.SQL("COMMENT ON TABLE {} IS {}").format(captured, sql.Literal(self._comment)),
            sql.SQL("CREATE FUNCTION {}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER {} AS {}").format(
                function, search_path(), quoted(self._body())
            ),
            # Not to be made the trigger of another table; that it is fired asks no right.
            sql.SQL("REVOKE EXECUTE ON FUNCTION {}() FROM PUBLIC").format(function),
            sql.SQL("COMMENT ON FUNCTION {}() IS {}").format(function, sql.Literal(self._comment)),
            sql.SQL(
                "CREATE TRIGGER {} AFTER INSERT OR UPDATE OR DELETE ON {} FOR EACH ROW EXECUTE FUNCTION {}()"
            ).format(self._by_row, where, function),
            sql.SQL("CREATE TRIGGER {} AFTER TRUNCATE ON {} FOR EACH STATEMENT EXECUTE FUNCTION {}()").format(
                self._by_truncate, where, function
            ),
            sql.SQL("ALTER TABLE {} ENABLE ALWAYS TRIGGER {}, ENABLE ALWAYS TRIGGER {}").format(
                where, self._by_row, self._by_truncate
            ),
        ]
        return Ddl(
            id=step_id,
            leg=EXPAND,
            database=self.database,
            title=f"capture which rows of {self.table.name} are written",
            locks=lock(relation(self.table.name), "SHARE ROW EXCLUSIVE"),
            statements=text(*statements),
            undo=(self.end(f"{step_id}/undo", EXPAND),),
            undo_title="end the capture",
        )

    def end(self, step_id: str, leg: Leg) -> Ddl:
        where = identifier(self.table.name)
        return Ddl(
            id=step_id,
            leg=leg,
            database=self.database,
            title=f"capture no more which rows of {self.table.name} are written",
            locks=lock(relation(self.table.name), "ACCESS EXCLUSIVE"),
            statements=text(
                sql.SQL("DROP TRIGGER IF EXISTS {} ON {}").format(self._by_row, where),
                sql.SQL("DROP TRIGGER IF EXISTS {} ON {}").format(self._by_truncate, where),
                sql.SQL("DROP FUNCTION IF EXISTS {}()").format(self._function),
                sql.SQL("DROP TABLE IF EXISTS {}").format(self._captured),
            ),
        )

    def _own(self, purpose: str) -> str:
        return own_name(self.migration, purpose, str(self.table.name))

    @property
    def _captured(self) -> sql.Identifier:
        return sql.Identifier("crossfade", self.relation.name)

    @property
    def _function(self) -> sql.Identifier:
        return sql.Identifier("crossfade", self._own("capture"))

    @property
    def _by_row(self) -> sql.Identifier:
        return sql.Identifier(self._own("rows"))

    @property
    def _by_truncate(self) -> sql.Identifier:
        return sql.Identifier(self._own("emptied"))

    @property
    def _comment(self) -> str:
        return f"crossfade: keys of {self.table.name} that were written, for {self.shown}; migration {self.migration}"

    def _body(self) -> sql.Composable:
        return sql.SQL(
            """
-- Notes which rows of {shown} are written, for migration {migration}; its drop stage ends it.
BEGIN
  IF TG_OP = 'TRUNCATE' THEN
    INSERT INTO {captured} (emptied) VALUES (true);
  ELSIF TG_OP = 'INSERT' THEN
    INSERT INTO {captured} ({noted}) VALUES ({new});
  ELSIF TG_OP = 'DELETE' THEN
    INSERT INTO {captured} ({noted}) VALUES ({old});
  ELSE
    INSERT INTO {captured} ({noted}) VALUES ({old});
    IF pg_catalog.record_image_ne(ROW({new}), ROW({old})) THEN
      INSERT INTO {captured} ({noted}) VALUES ({new});
    END IF;
  END IF;
  RETURN NULL;
END
"""
        ).format(
            shown=trusted(commented(str(self.table.name))),
            migration=trusted(self.migration),
            captured=self._captured,
            noted=names(self.noted),
            new=names(self.key, of="new"),
            old=names(self.key, of="old"),
        )
