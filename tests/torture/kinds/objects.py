"""Types, sequences, functions, triggers, and what is said of a table: beside the one that is written to, and of it.

Without add_enum_value: PostgreSQL takes no value of an enum away again.
"""

from __future__ import annotations

from tests.torture.kinds._kind import Change, Kind
from tests.torture.shapes import Shape


def _there(shape: Shape) -> str:
    people = shape.names.q("people")
    return f"""
CREATE TYPE mood AS ENUM ('calm', 'wild');
CREATE TYPE forgotten AS ENUM ('x');
CREATE DOMAIN code AS text;
CREATE SEQUENCE tickets;
CREATE SEQUENCE unused;
CREATE FUNCTION idle() RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION watch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
CREATE TABLE shelves (
  id int PRIMARY KEY, mood mood, code code, n int, CONSTRAINT few CHECK (n < 99), CONSTRAINT above CHECK (n > 0));
ALTER TABLE shelves ADD CONSTRAINT none_below CHECK (id > 0) NOT VALID;
CREATE INDEX by_n ON shelves (n);
CREATE TRIGGER watched BEFORE UPDATE ON shelves FOR EACH ROW EXECUTE FUNCTION watch();
CREATE TABLE boxes (id int PRIMARY KEY);
CREATE TABLE crates (id int PRIMARY KEY);
INSERT INTO shelves SELECT n, 'calm', 'c' || n, n FROM generate_series(1, 40) AS n;
INSERT INTO crates SELECT generate_series(1, 40);
COMMENT ON TABLE {people} IS 'before'"""


def _objects(shape: Shape) -> list[Change]:
    people, name = shape.names["people"], shape.names["name"]
    touch = "CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$"
    return [
        {"create_enum": {"enum": "size", "values": ["small", "large"]}},
        {"rename_enum_value": {"enum": "mood", "from": "wild", "to": "free", "old_writers": "fail"}},
        {"create_domain": {"domain": "share", "type": "numeric", "checks": {"part": "VALUE <= 1"}}},
        {"alter_domain": {"domain": "code", "add": {"name": "short", "check": "length(VALUE) < 9", "stored": "leave"}}},
        {"create_type": {"type": "pair", "attributes": [{"name": "one", "type": "int"}]}},
        {"drop_type": {"type": "forgotten"}},
        {"create_sequence": {"sequence": "numbers", "start": 7}},
        {"alter_sequence": {"sequence": "tickets", "increment": 3}},
        {"drop_sequence": {"sequence": "unused"}},
        {"create_function": {"definition": touch}},
        {"drop_function": {"function": "idle()"}},
        {"create_trigger": {"table": people, "name": "noting", "after": ["update"], "function": "noted"}},
        {"drop_trigger": {"table": "shelves", "name": "watched"}},
        {"drop_constraint": {"table": "shelves", "name": "few"}},
        {"rename_constraint": {"table": "shelves", "from": "above", "to": "positive"}},
        {"validate_constraint": {"table": "shelves", "name": "none_below"}},
        {"rename_index": {"index": "by_n", "to": "shelves_n"}},
        {"rename_table": {"table": "boxes", "to": "cartons"}},
        {"drop_table": {"table": "crates"}},
        {"set_comment": {"table": people, "column": name, "comment": "as they say it"}},
        {"set_replica_identity": {"table": people, "identity": "full"}},
        {"set_storage_parameters": {"table": "shelves", "set": {"fillfactor": 80}}},
    ]


KINDS = (Kind("objects", _objects, beside=_there, back_until="retire"),)
