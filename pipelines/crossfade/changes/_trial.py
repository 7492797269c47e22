"""A trial of retire for what bears a hidden name from then on: it has it for minutes, and then its own again."""

from __future__ import annotations

from collections.abc import Iterator

from crossfade.catalog.model import Name
from crossfade.changes._context import Context
from crossfade.composing import sql
from crossfade.steps.compose import relation
from crossfade.steps.step import Brownout, Ddl, stage_leg

_HIDDEN = """
SELECT EXISTS (SELECT FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
                WHERE n.nspname = {} AND c.relname = {})"""


def trial(context: Context, name: Name, hidden: Name, retire: Ddl) -> Iterator[Brownout]:
    """One, where the spec wants it. retire: renames the relation, and its undo gives it its name back."""
    if context.brownout is None:
        return
    (back,) = (step for step in retire.undo if isinstance(step, Ddl))
    yield Brownout(
        id=f"{name}/brownout",
        leg=stage_leg("brownout"),
        database=context.database,
        title=f"hide {name} for a while, count what fails, and give it back",
        locks=retire.locks,
        relation=relation(name),
        columns=(),
        hide=retire.statements,
        restore=back.statements,
        restore_locks=back.locks,
        hidden=sql.SQL(_HIDDEN).format(sql.Literal(hidden.schema), sql.Literal(hidden.name)).as_string(None).strip(),
        guards=retire.guards,
        seconds=context.brownout.total_seconds(),
        undo_title="it was given back",
    )
