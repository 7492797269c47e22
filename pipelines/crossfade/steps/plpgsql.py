"""What the functions we install share: settings that fix what their text means, and text that is safe in it."""

from __future__ import annotations

from collections.abc import Iterable

from crossfade.composing import sql
from crossfade.spec.fragment import trusted
from crossfade.steps.rows import Sides


def settings(sides: Sides) -> sql.Composable:
    """Session settings that give a fragment its meaning, the same in every writer's session and in ours."""
    return settings_of(sides.search_path)


def settings_of(schemas: Iterable[str]) -> sql.Composable:
    """The same for what is no pair's. schemas: where unqualified names in fragments are looked up."""
    return sql.SQL(
        "{} SET timezone TO 'UTC' SET datestyle TO 'ISO, YMD' SET intervalstyle TO 'postgres'"
        " SET extra_float_digits TO 1 SET bytea_output TO 'hex' SET standard_conforming_strings TO 'on'"
    ).format(search_path(schemas))


def search_path(schemas: Iterable[str] = ()) -> sql.Composable:
    """A setting of a function: unqualified names are looked up in pg_catalog first, and in pg_temp last."""
    path = sql.SQL(", ").join(map(sql.Identifier, ("pg_catalog", *schemas, "pg_temp")))
    return sql.SQL("SET search_path TO {}").format(path)


def commented(text: str) -> str:
    """Text that is safe behind `--` in a function body."""
    return " ".join(text.split()).replace("$", "")


def quoted(body: sql.Composable) -> sql.Composable:
    """A function body between dollar quotes, so that a DBA who finds the plan or \\sf reads it as it is."""
    text = body.as_string(None)
    tag = "$crossfade$"
    while tag in text:
        tag = f"{tag[:-1]}_$"
    return trusted(f"{tag}{text}{tag}")
