"""Views, materialized views, policies, row security and privileges: what the catalog alone holds."""

from __future__ import annotations

from tests.torture.kinds._kind import Change, Kind
from tests.torture.shapes import APPLICATION, Shape


def _there(shape: Shape) -> str:
    t = shape.names
    return f"""
CREATE VIEW named AS SELECT {t.q("ident")}, {t.q("name")} FROM {t.q("people")};
CREATE VIEW old_named AS SELECT {t.q("name")} FROM named;
CREATE TABLE places (place int PRIMARY KEY, name text);
CREATE MATERIALIZED VIEW by_place AS SELECT place FROM places;
CREATE UNIQUE INDEX by_place_place ON by_place (place);
CREATE POLICY known ON places USING (place < 9);
GRANT SELECT, DELETE ON named, by_place TO {APPLICATION};"""


def _logic(shape: Shape) -> list[Change]:
    t = shape.names
    people = t.q("people")
    wider = f"SELECT {t.q('ident')}, {t.q('name')}, {t.q('grade')} FROM {people} WHERE {t.q('grade')} < 9"
    graded = f"SELECT {t.q('grade')} AS grade, count(*) AS count FROM {people} GROUP BY 1"
    index = {"name": "graded_grade", "columns": ["grade"], "unique": True}
    return [
        {"replace_view": {"view": "named", "as": wider}},
        {"create_view": {"view": "young", "as": f"SELECT {t.q('ident')} FROM {people} WHERE {t.q('age')} < 18"}},
        {"drop_view": {"view": "old_named"}},
        {"create_materialized_view": {"view": "graded", "as": graded, "indexes": [index]}},
        {"refresh_materialized_view": {"view": "by_place"}},
        {"create_policy": {"table": t["people"], "name": "theirs", "to": [APPLICATION], "using": "true"}},
        {"drop_policy": {"table": "places", "name": "known"}},
        {"set_row_security": {"table": "places" if shape.hides else t["people"], "enabled": True}},
        {"grant": {"privileges": ["select"], "table": "places", "columns": ["place"], "to": [APPLICATION, "public"]}},
        {"revoke": {"privileges": ["delete"], "table": "named", "from": [APPLICATION]}},
    ]


KINDS = (Kind("logic", _logic, beside=_there),)
