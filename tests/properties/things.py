"""The table `things`, its applications of both versions, and a model of what they shall find.

The model keeps each row's two sides. What `up` and `down` give is asked of the server in a plain SELECT, which
shares nothing with the triggers, the walks and the archive that are looked at.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql
from tests.properties.subjects import Subject
from tests.scene import Scene

from crossfade.spec.fragment import trusted
from crossfade.steps.names import own_name

KEYS = {"none": "", "plain": ", PRIMARY KEY (label)", "composite": ", PRIMARY KEY (part, label)"}


@dataclass
class Row:
    """What both versions shall find. note: what stands beside, which both write.

    conflict: one side could not be mapped to the other. stale: written by the new version when the sync had ended.
    """

    old: str | None
    new: str | None = None
    conflict: bool = False
    stale: bool = False
    note: str | None = None


@dataclass(frozen=True)
class Write:
    """What an application does. row: which one, counted round; None: a new one. version `neither` leaves both alone."""

    version: str
    row: int | None
    values: tuple[str | None, str | None]


class Things:
    """key: one of KEYS. required: `value` is NOT NULL."""

    def __init__(self, scene: Scene, app: psycopg.Connection[Any], subject: Subject, key: str, required: bool) -> None:
        self.scene, self.app, self.subject, self.required = scene, app, subject, required
        self.rows: dict[int, Row] = {}
        self.labels = 0
        self.dropped = self.ever_dropped = self.filled = self.restoring = self.refilling = False
        self.app.execute("SET TIME ZONE 'UTC'; SET statement_timeout = '10s'")
        null = "NOT NULL" if required else ""
        scene.sql(
            f"CREATE TABLE things (label int NOT NULL, part text NOT NULL DEFAULT 'p', gone int, value {subject.type}"
            f" {null}, note text{KEYS[key]}); ALTER TABLE things DROP COLUMN gone"
        )
        self.before = scene.schema()

    @property
    def in_conflict(self) -> bool:
        return any(row.conflict or self._lacks_value(row) for row in self.rows.values())

    def _lacks_value(self, row: Row) -> bool:
        """`up` gives nothing for the column that replaces one that is NOT NULL."""
        return self.required and self.subject.leaves and self.subject.new is not None and row.new is None

    def seed(self, value: str | None) -> None:
        self.insert({"value": value})
        self.remember(self.labels, value)

    def follow(self, step: str) -> None:
        """Steps after which names mean something else, or rows have values."""
        match step.removeprefix("public.things/"):
            case "drop":
                self.dropped = self.ever_dropped = True
            case "drop/undo":
                self.dropped, self.restoring = False, True
            case "archive/copy/undo":
                self.restoring = False
            case "sync/end/undo":
                self.refilling = True
            case "sync/end/undo/refill":
                self.refilling = False
            case "backfill":
                self.filled = True
            case "columns/add/undo":
                self.filled = False
                for label, row in self.rows.items():
                    if row.stale:  # before what the new version wrote is forgotten
                        self._settle(row, self._stored(label, "value"))
                    self._map_up(row)
            case _:
                pass

    # --- where the sides are -------------------------------------------------------------------------------

    def _names(self) -> tuple[str | None, str | None, bool]:
        """The old side's column and the new side's, as they are called now, and whether they are kept in step."""
        columns = {name for (name,) in self.scene.sql(
            "SELECT attname FROM pg_attribute WHERE attrelid = 'things'::regclass AND attnum > 0 AND NOT attisdropped"
        )}  # fmt: skip
        synced = self.scene.one("SELECT count(*) FROM pg_trigger WHERE tgrelid = 'things'::regclass") > 0
        hidden = own_name("m", "old", "public.things", "value")
        shadow = own_name("m", "new", "public.things", "value")
        old = hidden if hidden in columns else None if self.dropped else "value" if "value" in columns else None
        new = self.subject.new
        if self.subject.swaps:
            new = shadow if shadow in columns else "value" if hidden in columns or self.dropped else None
        return old, new if new in columns else None, synced

    # --- writes --------------------------------------------------------------------------------------------

    def write(self, one: Write) -> None:
        old, new, synced = self._names()
        label = None if one.row is None or not self.rows else sorted(self.rows)[one.row % len(self.rows)]
        turned = old != "value"
        if one.version == "delete" and label is not None:
            self.app.execute("DELETE FROM things WHERE label = %s", (label,))
            del self.rows[label]
        elif one.version == "neither" and label is not None:
            self.app.execute("UPDATE things SET note = coalesce(note, '') || 'seen' WHERE label = %s", (label,))
            if self.subject.reads_note:
                self._write_beside(self.rows[label], (self.rows[label].note or "") + "seen", synced, turned)
            if turned and not synced and self.subject.new is not None:
                self.rows[label].stale = self.rows[label].stale or self.rows[label].conflict
        elif one.version == "old" and not turned and (synced or new is None) and self._accepts(one.values[0]):
            self._write_old(label, one.values[0], synced)
        elif (
            one.version == "new"
            and self._may_write_new(new, synced, turned)
            and (self.subject.new is None or self._accepts(one.values[1]))
        ):
            self._write_new(label, one.values[1], new, synced, turned)

    def _accepts(self, value: str | None) -> bool:
        """Neither version breaks a rule of its own."""
        return value is not None or not self.required

    def _may_write_new(self, new: str | None, synced: bool, turned: bool) -> bool:
        """The new version is there once both sides are kept in step, of a swapped name once it has the new meaning."""
        if self.subject.new is None:
            return synced or turned
        if self.subject.swaps:
            return new == "value"
        return new is not None and (synced or (turned and self.subject.leaves))

    def _write_old(self, label: int | None, value: str | None, synced: bool) -> None:
        try:
            if label is None:
                self.insert({"value": value})
            else:
                self.app.execute("UPDATE things SET value = %s WHERE label = %s", (value, label))
        except psycopg.errors.IntegrityError as refused:
            # From validate on the new rule binds old writers too, and says whose it is.
            named = (refused.diag.constraint_name or "").startswith("_cf_m")
            mapped, _ = self._ask(self.subject.up, self.subject.type, value, self.subject.new_type)
            if not (self.required and named and mapped is None):
                raise
            return
        if label is None:
            if self.subject.new is None and synced and value is None:
                value = self._ask(self.subject.down, "text", None, "text")[0]
            self.remember(self.labels, value)
        elif self._text(self.subject.type, value) != self.rows[label].old:
            self.rows[label] = Row(self._text(self.subject.type, value), note=self.rows[label].note)
            self._map_up(self.rows[label])

    def _write_new(self, label: int | None, value: str | None, new: str | None, synced: bool, turned: bool) -> None:
        if self.subject.new is None:  # knows the column no more
            if label is None:
                self.insert({})
                given = self._ask(self.subject.down, "text", None, "text")[0] if synced else None
                self.remember(self.labels, given)
                self.rows[self.labels].stale = not synced
            return
        assert new is not None
        wanted = self._text(self.subject.new_type, value)
        if label is None:
            self.insert({new: value})
            label, before = self.labels, None
            self.rows[label] = Row(None)
        else:
            before = self._stored(label, new)
            self.app.execute(
                sql.SQL("UPDATE things SET {} = %s WHERE label = %s").format(sql.Identifier(new)), (value, label)
            )
        row = self.rows[label]
        inserted = before is None and row.old is None and row.new is None
        if not synced:
            row.new, row.stale, row.conflict = wanted, True, False
        elif wanted != before or (turned and (inserted or row.conflict)):
            row.new = wanted
            mapped, row.conflict = self._ask(
                self.subject.down, self.subject.new_type, value, self.subject.type, row.note
            )
            if not row.conflict or turned:
                row.old = mapped

    def _write_beside(self, row: Row, note: str, synced: bool, turned: bool) -> None:
        """The side that is made of the other one is made again, as the row was before; the new one stays once it is
        alone."""
        up_before, down_before = self._up(row), self._down(row)
        row.note = note
        if turned and not synced:
            row.stale = True
        elif turned:
            row.old = row.old if self._up(row) == row.new else self._down(row)
        elif row.new == up_before:
            row.new = self._up(row)
        elif row.old == down_before:
            row.old = self._down(row)

    def _up(self, row: Row) -> str | None:
        return self._ask(self.subject.up, self.subject.type, row.old, self.subject.new_type, row.note)[0]

    def _down(self, row: Row) -> str | None:
        return self._ask(self.subject.down, self.subject.new_type or "text", row.new, self.subject.type, row.note)[0]

    def mend(self) -> None:
        """A person writes a value that can be mapped to each row in conflict, or without a value."""
        old, new, synced = self._names()
        for label, row in self.rows.items():
            if (row.conflict or self._lacks_value(row)) and old == "value":
                self._write_old(label, self.subject.good, synced)
            elif row.conflict and new is not None:
                self._write_new(label, self.subject.good, new, synced, turned=True)

    def insert(self, values: dict[str, str | None]) -> None:
        self.labels += 1
        columns = sql.SQL(", ").join(map(sql.Identifier, ["label", *values]))
        self.app.execute(
            sql.SQL("INSERT INTO things ({}) VALUES ({})").format(
                columns, sql.SQL(", ").join(sql.Placeholder() * (len(values) + 1))
            ),
            (self.labels, *values.values()),
        )

    # --- the model -----------------------------------------------------------------------------------------

    def remember(self, label: int, value: str | None) -> None:
        self.rows[label] = Row(self._text(self.subject.type, value))
        self._map_up(self.rows[label])

    def _map_up(self, row: Row) -> None:
        row.new, row.conflict = self._ask(self.subject.up, self.subject.type, row.old, self.subject.new_type, row.note)

    def _text(self, type_: str | None, value: str | None) -> str | None:
        """The value as the server spells it."""
        return None if type_ is None else self._spelled(f"SELECT CAST(%s AS {type_})::text", value)

    def _ask(
        self,
        expression: str | None,
        type_: str | None,
        value: str | None,
        wanted: str | None,
        note: str | None = None,
    ) -> Any:
        """What `up` or `down` gives for a value, and whether it fails."""
        if expression is None or wanted is None:
            return None, False
        name = "value" if expression is self.subject.up or self.subject.new is None else self.subject.new
        row = f"SELECT CAST(%s AS {type_}) AS {name}, CAST(%s AS text) AS note"
        try:
            return self._spelled(
                f"SELECT CAST(({expression}) AS {wanted})::text FROM ({row}) AS things", value, note
            ), False
        except psycopg.DataError:
            return None, True

    def _spelled(self, query: str, *values: str | None) -> str | None:
        found = self.app.execute(trusted(query), values).fetchone()
        assert found is not None
        return found[0]

    def _stored(self, label: int, column: str) -> str | None:
        query = sql.SQL("SELECT {}::text FROM things WHERE label = %s").format(sql.Identifier(column))
        found = self.app.execute(query, (label,)).fetchone()
        assert found is not None
        return found[0]

    # --- what must hold ------------------------------------------------------------------------------------

    def look(self) -> None:
        """Every row is there and its sides are what the model says; what was taken back is as it was."""
        old, new, synced = self._names()
        marker = own_name("m", "mapped", "public.things", "things")
        marked = self.scene.one(f"SELECT count(*) FROM pg_attribute WHERE attname = '{marker}' AND NOT attisdropped")
        shown = sql.SQL(", ").join(
            sql.SQL("{}::text").format(sql.Identifier(name)) if name else sql.SQL("NULL")
            for name in (old, new, marker if marked else None)
        )
        found = {
            label: sides for label, *sides in self.app.execute(sql.SQL("SELECT label, {} FROM things").format(shown))
        }
        assert found.keys() == self.rows.keys()
        for label, (old_value, new_value, mapped) in found.items():
            row = self.rows[label]
            if row.stale and old is not None and (synced or old == "value"):
                self._settle(row, old_value)
            if old is not None and not row.stale and not self.restoring:
                assert old_value == row.old, f"old side of {label}"
            if new is not None and (mapped == "true" or not synced) and self.subject.up and self.filled:
                assert new_value == row.new, f"new side of {label}"
            if synced and self.subject.up:
                assert mapped != "false" or row.conflict, f"{label} is in conflict"
                assert mapped != "true" or not row.conflict, f"{label} is mapped"
                assert mapped is not None or not self.filled or self.refilling, f"{label} is not mapped"
        if old == "value" and new is None and not (synced or marked or self.dropped or self.ever_dropped):
            assert self.scene.schema() == self.before

    def _settle(self, row: Row, found: str | None) -> None:
        """After a way back from the archive: the value that was kept, or what `down` makes of one written since."""
        down, failed = self._ask(
            self.subject.down, self.subject.new_type or "text", row.new, self.subject.type, row.note
        )
        assert found in (row.old, down)
        row.old, row.stale, row.conflict = found, False, failed
