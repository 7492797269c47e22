"""An enum that loses a word which the old version goes on writing."""

from __future__ import annotations

from tests.torture.kinds._kind import Kind, Pair, same
from tests.torture.shapes import Shape

WORDS = ("low", "lost", "high")


def _kept(word: str | None) -> str | None:
    return "high" if word == "lost" else word


def _enum(shape: Shape) -> str:
    t = shape.names
    note = t.q("note")
    return f"""
CREATE TYPE word AS ENUM ('low', 'lost', 'high');
ALTER TABLE {t.q("people")} ALTER {note} DROP DEFAULT,
  ALTER {note} TYPE word USING (ARRAY['low', 'lost', 'high', NULL])[1 + {t.q("ident")} % 4]::word;
ALTER TABLE {t.q("people")} ALTER {note} SET DEFAULT 'lost';
CREATE TABLE beside (id int PRIMARY KEY, words word[]);
INSERT INTO beside SELECT i, ARRAY['lost', 'low']::word[] FROM generate_series(1, 40) AS i;"""


KINDS = (
    Kind(
        "drop_enum_value",
        lambda shape: [{"drop_enum_value": {"enum": "word", "value": "lost", "to": "high"}}],
        (Pair("note", "note", _kept, same, swap=True, settled=_kept),),
        beside=_enum,
        values={"note": WORDS},
    ),
)
