"""drop_sequence: numbers nobody asks for any more; hidden first, dropped last."""

from __future__ import annotations

from pydantic import Field

from crossfade.catalog.model import Name
from crossfade.changes._change import Change, Compiled, Hazard
from crossfade.changes._context import Context
from crossfade.changes._instant import instant
from crossfade.changes._sequence import found_sequence
from crossfade.changes._trial import trial
from crossfade.composing import sql
from crossfade.spec.values import Identifier
from crossfade.steps.compose import identifier, text
from crossfade.steps.step import Ddl, stage_leg

_RETIRE, _DROP = stage_leg("retire"), stage_leg("drop")


class DropSequence(Change):
    """Drop a sequence.

    At `retire` it gets a name of crossfade's, so that whoever still asks it for numbers finds out while it is there
    with the number it has reached. At `drop` it is dropped, without CASCADE.

    ## Old and new versions

    From `retire` on a statement that names the sequence fails: let a gate hold `retire` back until no version does.

    ## Undo

    At once, up to `drop`: it gets its name back and goes on where it was. After `drop` there is no way back.

    ## Locks

    ACCESS EXCLUSIVE on the sequence for an instant. None on any table.

    ## Hazards

    - `hidden-sequence`: from `retire` on, statements that name it fail.

    Defaults, views and functions in standard SQL that use it are refused by name, and the sequence of an identity
    column.

    ## Example

    ```yaml
    changes:
      - drop_sequence: {sequence: ticket_number}
    ```
    """

    sequence: Identifier = Field(description="Its name, in the `schema` of the database, or `schema.name`.")

    def compile(self, context: Context) -> Compiled:
        """The name in retire, the sequence in drop."""
        sequence = found_sequence(context, self.sequence)
        if sequence.uses:
            context.refuse(
                f"{sequence.name} is used by {', '.join(map(str, sequence.uses))}",
                why="it would hinder the drop, and nothing is dropped by CASCADE",
                fix="change or drop it first, in a migration that comes before",
                at=("sequence",),
            )
        name = sequence.name
        hidden = Name(name.schema, context.own("dropped", name.schema, name.name))
        hide = instant(
            context,
            _RETIRE,
            f"{name}/hide/sequence",
            f"hide sequence {name}",
            [_renamed(name, hidden)],
            [_renamed(hidden, name)],
            f"give {name} its name back",
        )
        drop = Ddl(
            id=f"{name}/drop/sequence",
            leg=_DROP,
            database=context.database,
            title=f"drop sequence {name} (hidden until now)",
            statements=text(sql.SQL("DROP SEQUENCE {}").format(identifier(hidden))),
            undo_title="the sequence is gone with the number it had reached",
            irreversible=True,
        )
        told = f"from retire on a statement that names {name} fails"
        fix = "let a gate hold retire back until no version names it"
        return Compiled(
            steps=(*trial(context, name, hidden, hide), hide, drop),
            hazards=(Hazard("hidden-sequence", "warning", told, fix),),
        )


def _renamed(old: Name, new: Name) -> sql.Composable:
    return sql.SQL("ALTER SEQUENCE {} RENAME TO {}").format(identifier(old), sql.Identifier(new.name))
