"""partition_table with everything a table may have: all of it goes over, and all of it comes back."""

from __future__ import annotations

import pytest
from tests.changes.life import rows, spec, whole_way
from tests.scene import Scene

EVENTS = """
CREATE TABLE accounts (id int PRIMARY KEY);
INSERT INTO accounts SELECT generate_series(1, 10);
CREATE TABLE events (
  id bigint GENERATED ALWAYS AS IDENTITY,
  account int NOT NULL REFERENCES accounts ON DELETE CASCADE,
  at timestamptz NOT NULL DEFAULT now(),
  kind text NOT NULL DEFAULT 'seen' CHECK (kind <> ''),
  size int, twice int GENERATED ALWAYS AS (size * 2) STORED,
  number serial,
  CONSTRAINT events_pkey PRIMARY KEY (id));
INSERT INTO events (account, at, kind, size)
  SELECT i % 10 + 1, timestamptz '2024-01-01 00:00Z' + i * interval '1 day', 'k' || i % 7, i
    FROM generate_series(0, 399) AS i;
CREATE INDEX events_account ON events (account);
COMMENT ON INDEX events_account IS 'whose';
CREATE INDEX events_kinds ON events USING gin (to_tsvector('simple', kind)) WHERE size > 10;
COMMENT ON TABLE events IS 'what happened';
COMMENT ON COLUMN events.kind IS 'what kind';
ALTER TABLE events ALTER kind SET STATISTICS 500;
CREATE VIEW recent AS SELECT id, kind, at FROM events WHERE at > timestamptz '2025-01-01';
CREATE TABLE audit (n bigint GENERATED ALWAYS AS IDENTITY, id bigint, op text);
CREATE FUNCTION log() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN INSERT INTO audit (id, op) VALUES (coalesce(new.id, old.id), tg_op); RETURN NULL; END $$;
CREATE TRIGGER log AFTER INSERT OR UPDATE OR DELETE ON events FOR EACH ROW EXECUTE FUNCTION log();
COMMENT ON TRIGGER log ON events IS 'who';
CREATE ROLE {role};
GRANT SELECT, INSERT ON events TO {role} WITH GRANT OPTION;
GRANT UPDATE (kind) ON events TO {role};
ALTER TABLE events ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON events TO {role} USING (account = 1);
"""
BY_QUARTER = """\
partition_table:
      table: events
      key: [id, at]
      range: {column: at, from: 2024-01-01, to: 2025-04-01, every: quarter}"""

SOON = "contract: {stages: [{archive: {keep: 0s}}, {drop: {}}]}\n"


def test_everything_of_the_table_goes_over(scene: Scene) -> None:
    role = f"reader_{scene.one('SELECT current_database()')}"
    lived = whole_way(scene, EVENTS.replace("{role}", role), BY_QUARTER, more=SOON)

    def line(said: str) -> bool:
        return any(said in each for each in lived.schema.splitlines())

    assert line("PARTITION BY RANGE (at)")
    assert line("ATTACH PARTITION public.events_2025_q1 FOR VALUES FROM ('2025-01-01 00:00:00+00') TO ('2025-04-01")
    assert line("ATTACH PARTITION public.events_default DEFAULT")
    assert line("ADD CONSTRAINT events_pkey PRIMARY KEY (id, at)")
    assert line("ADD CONSTRAINT events_2024_q1_pkey PRIMARY KEY (id, at)")
    assert line("CONSTRAINT events_kind_check CHECK ((kind <> ''::text))")
    assert line("twice integer GENERATED ALWAYS AS ((size * 2)) STORED")
    assert line(
        "CREATE INDEX events_kinds ON ONLY public.events USING gin (to_tsvector('simple'::regconfig, kind)) WHERE"
    )
    assert line("COMMENT ON INDEX public.events_account IS 'whose'")
    assert line("COMMENT ON TABLE public.events IS 'what happened'")
    assert line("COMMENT ON COLUMN public.events.kind IS 'what kind'")
    assert line("ALTER TABLE ONLY public.events ALTER COLUMN kind SET STATISTICS 500")
    assert line("SEQUENCE NAME public.events_id_seq")
    assert line("ALTER SEQUENCE public.events_number_seq OWNED BY public.events.number")
    assert line("CREATE TRIGGER log AFTER INSERT OR DELETE OR UPDATE ON public.events FOR EACH ROW")
    assert line("COMMENT ON TRIGGER log ON public.events IS 'who'")
    assert line("FOREIGN KEY (account) REFERENCES public.accounts(id) ON DELETE CASCADE")
    assert line("ALTER TABLE public.events ENABLE ROW LEVEL SECURITY")
    assert line(f"CREATE POLICY own ON public.events TO {role} USING ((account = 1))")
    assert line(f"GRANT SELECT,INSERT ON TABLE public.events TO {role} WITH GRANT OPTION")
    assert line(f"GRANT UPDATE(kind) ON TABLE public.events TO {role}")
    assert not line("events_2024_q1 TO")  # rights on a partition
    assert scene.one("SELECT count(*) FROM recent") == 33
    assert scene.sql("INSERT INTO events (account, size) VALUES (1, 4) RETURNING id, number, twice") == [(401, 401, 8)]
    assert scene.sql("SELECT * FROM audit") == [(1, 401, "INSERT")]
    assert scene.one("SELECT count(*) FROM events_2024_q1") == 91
    scene.sql(f"DROP OWNED BY {role}; DROP ROLE {role}")


@pytest.mark.parametrize("leg", ["cutover", "archive"])
def test_everything_of_the_table_comes_back(scene: Scene, leg: str) -> None:
    role = f"reader_{scene.one('SELECT current_database()')}"
    scene.sql(EVENTS.replace("{role}", role))
    spec(scene, BY_QUARTER, more=SOON)
    before = scene.schema(), rows(scene)
    scene.up(through=leg)
    scene.sql("INSERT INTO events (account, size) VALUES (1, 4)")

    assert scene.rollback().ended == "undone"

    assert scene.one("DELETE FROM events WHERE id = 401 RETURNING twice") == 8
    scene.sql("TRUNCATE audit")
    assert (scene.schema(), rows(scene)) == before
    assert scene.own_objects() == []
    assert scene.sql("INSERT INTO events (account) VALUES (1) RETURNING id, number") == [(402, 402)]
    scene.sql(f"DROP OWNED BY {role}; DROP ROLE {role}")
