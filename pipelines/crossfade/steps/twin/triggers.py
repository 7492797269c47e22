"""The triggers by which what is written to the table reaches its twin within the statement.

They run as the role that migrates: who may write the table needs no right on the twin. They are AFTER triggers, so that
they see rows as they are in the end, and fire for what comes by logical replication too.
"""

from __future__ import annotations

from collections.abc import Iterator

from crossfade.composing import sql
from crossfade.spec.fragment import trusted
from crossfade.steps.compose import record, text
from crossfade.steps.twin import functions
from crossfade.steps.twin.tables import Moment, Twin

_EVENTS = ("insert", "update", "delete", "truncate")


def install(twin: Twin, moment: Moment) -> tuple[str, ...]:
    """Statements that keep the other table in step with the one that bears the name, which has no triggers of ours."""
    return text(*functions.functions(twin, moment), *_triggers(twin))


def remove(twin: Twin) -> tuple[str, ...]:
    """Statements that drop the triggers, and leave the functions and what is noted."""
    return text(
        *(
            sql.SQL("DROP TRIGGER IF EXISTS {} ON {}").format(sql.Identifier(name), twin.source)
            for name in trigger_names(twin)
        )
    )


def end(twin: Twin) -> tuple[str, ...]:
    """Statements that end it."""
    return (*remove(twin), *text(*functions.no_functions(twin)))


def trigger_names(twin: Twin) -> tuple[str, ...]:
    """Those that must be there, ENABLE ALWAYS."""
    return tuple(twin.own(event) for event in _EVENTS)


def _triggers(twin: Twin) -> Iterator[sql.Composable]:
    changed = sql.SQL(" WHEN ({} *<> {})").format(record(twin.names, "new"), record(twin.names, "old"))
    for event, name in zip(_EVENTS, trigger_names(twin), strict=True):
        emptied = event == "truncate"
        yield sql.SQL("CREATE TRIGGER {} AFTER {} ON {} FOR EACH {}{} EXECUTE FUNCTION {}()").format(
            sql.Identifier(name),
            trusted(event.upper()),
            twin.source,
            sql.SQL("STATEMENT" if emptied else "ROW"),
            changed if event == "update" else sql.SQL(""),
            twin.function("emptied" if emptied else "written"),
        )
        yield sql.SQL("ALTER TABLE {} ENABLE ALWAYS TRIGGER {}").format(twin.source, sql.Identifier(name))
