"""What is done to the tables: every kind of change, with what each version of the application makes of it.

A kind is added here and nowhere else. `changes` is what stands in the spec. `pairs` say the same in Python: how an
old column and a new one follow each other, which the rows are held to.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.torture.shapes import Names, Shape

Value = Any  # of a column, as psycopg gives it
Change = dict[str, dict[str, Any]]


class Unmappable(Exception):
    """A value that `up` cannot convert: the row comes into conflict, the statement does not fail."""


def same(value: Value) -> Value:
    return value


@dataclass(frozen=True)
class Pair:
    """Two columns that mean the same.

    old: None where rows get a column that nothing wrote before. new: None where a column leaves.
    up: the old value -> the new one. down: back; None where the old side does not follow.
    swap: both bear the name `old`; the names swap at cutover.
    stays: the old column is there in the end.
    settled: a value of the old side that comes back from `down` as it was, so that it does not matter whether it was
    written before or after cutover.
    """

    old: str
    new: str | None
    up: Callable[[Value], Value] = same
    down: Callable[[Value], Value] | None = same
    swap: bool = False
    stays: bool = False
    settled: Callable[[Value], Value] = same


@dataclass(frozen=True)
class Kind:
    """One migration.

    opaque: new columns whose value nobody can foretell, but which is there, unique, and never changes.
    adds: new column -> its value in rows of the old version.
    sets: what `update_rows` makes of a column of the rows that were there, exactly once.
    fits: it can be done to the shape at all.
    once: a query whose answer says how often something was done that must be done once.
    """

    name: str
    changes: Callable[[Shape], list[Change]]
    pairs: tuple[Pair, ...] = ()
    opaque: tuple[str, ...] = ()
    adds: Mapping[str, Value] = field(default_factory=dict[str, Value])
    sets: Mapping[str, Callable[[Value], Value]] = field(default_factory=dict[str, Callable[[Value], Value]])
    fits: Callable[[Shape], bool] = lambda shape: True
    once: str | None = None

    @property
    def leaves(self) -> bool:
        """An old column goes, so its values are archived."""
        return any(not pair.stays for pair in self.pairs)


# --- the mappings in Python, each beside the SQL it stands for -----------------------------------------------

UP_ZIP, DOWN_ZIP = "{zip}::int", "lpad({zip}::text, 5, '0')"


def up_zip(value: str | None) -> int | None:
    if value is not None and not value.isdigit():
        raise Unmappable
    return None if value is None else int(value)


def down_zip(value: int | None) -> str | None:
    return None if value is None else str(value).rjust(5, "0")[:5]


def lower(value: str | None) -> str | None:
    return None if value is None else value.lower()


def upper(value: str | None) -> str | None:
    return None if value is None else value.upper()


def _sql(fragment: str, t: Names, **columns: str) -> str:
    return fragment.format(**{as_written: t.q(logical) for as_written, logical in columns.items()})


RENAME = Pair("name", "full_name")
WIDEN = Pair("age", "age", swap=True)
RETYPE = Pair("zip", "zip", up_zip, down_zip, swap=True, settled=lambda value: down_zip(up_zip(value)))
LOWER = Pair("name", "name", lower, same, swap=True, settled=lower)
LABEL = Pair("name", "label", upper, lower, stays=True)
LEAVE = Pair("note", None, down=lambda _: "gone")
LEAVE_BARE = Pair("score", None, down=None)


def _rename(t: Names) -> Change:
    return {"rename_column": {"table": t["people"], "from": t["name"], "to": t["full_name"]}}


def _widen(t: Names) -> Change:
    return {"change_column": {"table": t["people"], "column": t["age"], "to": {"type": "bigint"}}}


def _retype(t: Names) -> Change:
    up, down = _sql(UP_ZIP, t, zip="zip"), _sql(DOWN_ZIP, t, zip="zip")
    return {"change_column": {"table": t["people"], "column": t["zip"], "to": {"type": "int"}, "up": up, "down": down}}


def _lower(t: Names, **more: Any) -> Change:
    name = t.q("name")
    to = {"nullable": False, "check": f"{name} = lower({name})", "comment": "in lower case"}
    return {
        "change_column": {"table": t["people"], "column": t["name"], "to": to, "up": f"lower({name})", "down": name}
        | more
    }


def _label(t: Names) -> Change:
    added = {"table": t["people"], "column": t["label"], "type": "text", "nullable": False}
    return {
        "add_column": added
        | {"up": f"upper({t.q('name')})", "down": {t["name"]: f"lower({t.q('label')})"}, "default": "'ANON'"}
    }


def _token(shape: Shape) -> Change:
    t = shape.names
    added = {"table": t["people"], "column": t["token"], "type": "uuid", "default": "gen_random_uuid()"}
    return {"add_column": added | {"nullable": False, "unique": not shape.partitioned}}


def _leave(t: Names) -> Change:
    return {"drop_column": {"table": t["people"], "column": t["note"], "down": "'gone'"}}


def _indexes(t: Names) -> list[Change]:
    table = t["people"]
    expression = [{"expression": f"lower({t.q('name')})"}, {"column": t["area"], "order": "desc"}]
    partial = {"where": f"{t.q('grade')} < 3", "include": [t["note"]]}
    return [
        {"create_index": {"table": table, "name": "people_lower", "columns": expression}},
        {"create_index": {"table": table, "name": "people_zip", "columns": [t["zip"]]} | partial},
        {"create_index": {"table": table, "name": "people_stamp", "columns": [t["stamp"]], "unique": True}},
    ]


def _rules(shape: Shape, **more: Any) -> list[Change]:
    t = shape.names
    table, areas = t["people"], {"columns": [t["area"]], "references": {"table": "areas"}, "on_delete": "restrict"}
    found: list[Change] = [
        {"add_constraint": {"table": table, "name": "graded", "check": f"{t.q('grade')} between 0 and 9"} | more}
    ]
    if not shape.partitioned:
        found.append({"add_constraint": {"table": table, "name": "stamped", "unique": [t["stamp"]]} | more})
        found.append({"add_constraint": {"table": table, "name": "in_area", "foreign_key": areas} | more})
    return found


def _in_place(t: Names) -> list[Change]:
    wider = {"type": "text", "default": "'nothing'", "comment": "any length"}
    ruled = {"nullable": False, "check": f"{t.q('grade')} >= 0", "default": "5"}
    return [
        {"change_column": {"table": t["people"], "column": t["note"], "to": wider}},
        {"change_column": {"table": t["people"], "column": t["grade"], "to": ruled}},
    ]


def _visits_table(shape: Shape) -> list[Change]:
    t = shape.names
    person = {"columns": ["person"], "references": {"table": t["people"]}, "on_delete": "cascade"}
    plain: dict[str, Any] = {
        "table": "letters",
        "columns": [
            {"name": "id", "type": "bigint", "identity": True},
            {"name": "person", "type": "bigint", "nullable": False, "comment": "who wrote it"},
            {"name": "country", "type": "text", "default": "'NO'"},
        ],
        "primary_key": ["id"],
        "unique": [["person", "country"]],
        "checks": {"country_is_code": "length(country) = 2"},
    }
    if shape.key == ("ident",):
        plain["foreign_keys"] = {"letters_person": person}
    return [{"create_table": plain}]


def _scripts(t: Names) -> list[Change]:
    people = t.q("people")
    counted = f"CREATE VIEW by_area AS SELECT {t.q('area')}, count(*) FROM {people} GROUP BY 1"
    return [
        {"sql": {"up": f"CREATE TABLE done (at int); INSERT INTO done VALUES (1); {counted}",
                 "down": "DROP VIEW by_area; DROP TABLE done", "verify": "SELECT to_regclass('done') IS NOT NULL"}},
        {"sql": {"up": f"VACUUM {people}", "down": "SELECT 1", "transaction": False, "phase": "backfill",
                 "reason": "repeatable"}},
        {"sql": {"up": "INSERT INTO done VALUES (2)", "down": "DELETE FROM done WHERE at = 2",
                 "phase": "contract", "stage": "retire"}},
    ]  # fmt: skip


def _update(t: Names) -> list[Change]:
    score = t.q("score")
    return [{"update_rows": {"table": t["people"], "set": {t["score"]: f"{score} + 1"}, "where": f"{score} >= 0"}}]


def _drop_score(t: Names) -> Change:
    return {"drop_column": {"table": t["people"], "column": t["score"]}}


def _whole(shape: Shape) -> bool:
    return not shape.partitioned


def _keyed(shape: Shape) -> bool:
    return bool(shape.key)


KINDS = {
    kind.name: kind
    for kind in (
        Kind("rename_column", lambda s: [_rename(s.names)], (RENAME,)),
        Kind("change_column_widen", lambda s: [_widen(s.names)], (WIDEN,)),
        Kind("change_column_retype", lambda s: [_retype(s.names)], (RETYPE,)),
        Kind("change_column_rules", lambda s: [_lower(s.names)], (LOWER,)),
        Kind("change_column_tighten", lambda s: [_lower(s.names, enforce="contract")], (LOWER,)),
        Kind("change_column_in_place", lambda s: _in_place(s.names)),
        Kind("add_column_plain", lambda s: [_plain(s.names)], adds={"flag": "on"}),
        Kind("add_column_mapped", lambda s: [_label(s.names)], (LABEL,)),
        Kind("add_column_volatile", lambda s: [_token(s)], opaque=("token",)),
        Kind("drop_column_mapped", lambda s: [_leave(s.names)], (LEAVE,)),
        Kind("drop_column_bare", lambda s: [_drop_score(s.names)], (LEAVE_BARE,)),
        Kind("create_index", lambda s: _indexes(s.names), fits=_whole),
        Kind("drop_index", lambda _: [{"drop_index": {"index": "people_scores"}}], fits=_whole),
        Kind("add_constraint", _rules),
        Kind("add_constraint_tighten", lambda s: _rules(s, enforce="contract")),
        Kind("create_table", _visits_table),
        Kind("update_rows", lambda s: _update(s.names), sets={"score": lambda value: value + 1}, fits=_keyed),
        Kind("sql", lambda s: _scripts(s.names), once="SELECT array_agg(at ORDER BY at) FROM done"),
        Kind(
            "all_at_once",
            lambda s: [
                _rename(s.names),
                _widen(s.names),
                _retype(s.names),
                _leave(s.names),
                _token(s),
                *(_indexes(s.names)[2:] if _whole(s) else ()),
            ],
            (RENAME, WIDEN, RETYPE, LEAVE),
            opaque=("token",),
        ),
    )
}


def _plain(t: Names) -> Change:
    added = {"table": t["people"], "column": t["flag"], "type": "text", "default": "'on'"}
    return {"add_column": added | {"nullable": False, "check": f"{t.q('flag')} <> ''", "comment": "on or off"}}
