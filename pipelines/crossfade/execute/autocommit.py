"""SQL outside a transaction. The ledger knows before and after each statement how far it got, since nothing commits
with it: `down` takes back what `up` did, never what somebody else had made.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import postgast
import psycopg
from postgast import pg_query_pb2 as pg
from psycopg import errors

from crossfade.execute.ddl import is_true, until_done
from crossfade.execute.errors import InDoubt, is_lost
from crossfade.execute.notice import StepFinished
from crossfade.execute.site import Site
from crossfade.ledger import StepRecord
from crossfade.spec.fragment import trusted
from crossfade.steps.step import Autocommit

_COMMITS_MIDWAY: dict[str, Callable[[Any], bool]] = {
    "index_stmt": lambda node: node.concurrent,
    "drop_stmt": lambda node: node.concurrent,
    "alter_table_stmt": lambda node: any(
        part.alter_table_cmd.subtype == pg.AT_DetachPartition
        and part.alter_table_cmd.__getattribute__("def").partition_cmd.concurrent
        for part in node.cmds
    ),
    **dict.fromkeys(
        ("reindex_stmt", "vacuum_stmt", "cluster_stmt", "call_stmt", "do_stmt", "create_subscription_stmt"),
        lambda _: True,
    ),
}
# Raised while a statement is looked at, before it writes: no such table, the name is taken, not for this kind of table.
_BEFORE_IT_BEGAN = ("42", "0A")
_IS_GONE = (errors.UndefinedObject, errors.UndefinedTable, errors.UndefinedFunction, errors.InvalidSchemaName)


@dataclass(frozen=True)
class Reached:
    """How many of a step's statements were begun, and how many of these have returned; those that failed and left
    nothing do not count.
    """

    begun: int = 0
    returned: int = 0

    @classmethod
    def of(cls, record: StepRecord | None) -> Reached:
        """An older crossfade noted nothing: then the first statement may have been begun."""
        if record is None or record.state == "undone":
            return cls()
        return cls(record.detail.get("begun", 1), record.detail.get("returned", 0))


def run_autocommit(site: Site, step: Autocommit) -> StepFinished:
    """Run the statements, unless `done` says that they have had their effect."""

    def attempt() -> None:
        reached = Reached.of(site.ledger.steps(site.migration).get(step.id))
        with site.noting() as ledger:
            ledger.step_running(site.migration, step.id, str(step.leg))
            ledger.step_notes(site.migration, step.id, asdict(reached))
        if step.done is None or not is_true(site.work, step.done):
            for number in range(1, len(step.statements) + 1):
                reached = _run(site, step, number, reached)
        with site.transaction():
            site.ledger.step_done(site.migration, step.id, detail=asdict(reached))

    finished = until_done(site, step, attempt)
    site.forget_settings()
    return finished


def took_effect(connection: psycopg.Connection[Any], migration: str, step: Autocommit, record: StepRecord) -> bool:
    """Statements of ours had their effect, so that there is something to take back.

    Raises InDoubt where only a person can tell. Reads only.
    """
    reached = Reached.of(record)
    if not reached.begun:  # nor where `done` held before any was run: then it is another's
        return False
    if record.state == "done" or reached.returned == len(step.statements):
        return True
    verified = _asked(connection, step.done)
    if verified:
        return True
    if verified is False and len(step.statements) == 1 and not _commits_midway(step.statements[0]):
        return False
    skip = f"`crossfade rollback {migration} --skip-down {step.id}`"
    raise InDoubt(
        f"whether {step.title} (step {step.id} in {step.database}) had an effect is not known",
        why=f"{reached.returned} of its {len(step.statements)} statements returned, and the next was cut off or failed;"
        f" its `verify` {'is not given' if step.done is None else 'does not say'}",
        fix=f"take back by hand what it made in {step.database}, then {skip}"
        if step.irreversible
        else f"look in {step.database}: `crossfade rollback {migration} --run-down {step.id}` where what it made is"
        f" there, {skip} where it is not, or is another's",
    )


def settle(site: Site, step: Autocommit, had_effect: bool) -> None:
    """A person has looked: the step had its effect, or left nothing to take back."""
    statements = len(step.statements) if had_effect else 0
    with site.noting() as ledger:
        ledger.step_notes(site.migration, step.id, asdict(Reached(statements, statements)))
        ledger.event(site.migration, "doubt settled", {"step": step.id, "had effect": had_effect})


def _run(site: Site, step: Autocommit, number: int, before: Reached) -> Reached:
    """One statement, counted from 1; gives how far the step has got by it."""
    statement = step.statements[number - 1]
    site.confirm()
    reached = replace(before, begun=max(before.begun, number))
    _note(site, step, reached)
    site.fault("before statement")
    try:
        site.work.execute(trusted(statement))
    except psycopg.Error as error:
        cut_off_before = number <= before.begun
        if not (cut_off_before and isinstance(error, _IS_GONE) and _kind(statement)[0] == "drop_stmt"):
            if _left_nothing(statement, error):
                _note(site, step, before)
            raise
    site.fault("after statement")
    reached = replace(reached, returned=max(reached.returned, number))
    _note(site, step, reached)
    return reached


def _note(site: Site, step: Autocommit, reached: Reached) -> None:
    with site.noting() as ledger:
        ledger.step_notes(site.migration, step.id, asdict(reached))


def _left_nothing(statement: str, error: psycopg.Error) -> bool:
    """The server refused it and rolled it back; one that commits midway may have left a part."""
    if is_lost(error):
        return False
    if not _commits_midway(statement):
        return True
    at_once = _kind(statement)[0] in ("index_stmt", "drop_stmt", "alter_table_stmt")
    return at_once and (error.sqlstate or "").startswith(_BEFORE_IT_BEGAN)


def _commits_midway(statement: str) -> bool:
    kind, node = _kind(statement)
    return kind in _COMMITS_MIDWAY and _COMMITS_MIDWAY[kind](node)


def _kind(statement: str) -> tuple[str, Any]:
    """Its kind in PostgreSQL's grammar, and its node."""
    node = postgast.parse(statement).stmts[0].stmt
    kind = node.WhichOneof("node") or ""
    return kind, getattr(node, kind)


def _asked(connection: psycopg.Connection[Any], query: str | None) -> bool | None:
    """None where there is nothing to ask, or the query fails: it may read what was never made."""
    if query is None:
        return None
    try:
        return is_true(connection, query)
    except psycopg.Error as error:
        if is_lost(error):
            raise
        return None
