"""alter_sequence: other limits, another step, another owner."""

from __future__ import annotations

from pydantic import model_validator

from crossfade.changes._change import Compiled, Hazard
from crossfade.changes._context import Context
from crossfade.changes._instant import instant
from crossfade.changes._sequence import SequenceOptions, altered, found_sequence
from crossfade.composing import sql
from crossfade.steps.numbering import as_it_is
from crossfade.steps.step import EXPAND


class AlterSequence(SequenceOptions):
    """Alter a sequence.

    In expand, in the catalog alone. It goes on from the number it has reached, which the new limits must hold.

    ## Old and new versions

    Both get their numbers from it all the while. A session that took numbers ahead (`cache`) uses these up first.

    ## Undo

    Gives the sequence everything it had; the numbers go on.

    ## Locks

    SHARE ROW EXCLUSIVE on the sequence for an instant: who asks for a number waits for it. With `owned_by`, ACCESS
    SHARE on that table.

    ## Hazards

    - `cached-numbers`: sessions hold numbers by the old rules.
    - `column-too-narrow`: the numbers may outgrow the column they are for.

    The sequence of an identity column is refused: it is a part of the column.

    ## Example

    ```yaml
    changes:
      - alter_sequence: {sequence: orders_id_seq, type: bigint, maximum: 9223372036854775807}
    ```
    """

    @model_validator(mode="after")
    def _says_something(self) -> AlterSequence:
        if not self.model_fields_set - {"sequence", "database"}:
            raise ValueError("say what changes")
        return self

    def compile(self, context: Context) -> Compiled:
        """One statement in expand."""
        sequence = found_sequence(context, self.sequence)
        step = instant(
            context,
            EXPAND,
            f"{sequence.name}/alter/sequence",
            f"alter sequence {sequence.name}",
            [altered(sequence, sql.SQL(" ").join(self.clauses(context)))],
            [altered(sequence, as_it_is(sequence))],
            "give it everything it had; the numbers go on",
        )
        hazards: list[Hazard] = []
        if sequence.cache > 1:
            told = f"sessions hold up to {sequence.cache} numbers of {sequence.name} that were given by the old rules"
            hazards.append(Hazard("cached-numbers", "note", told, "renew the sessions where that matters"))
        if sequence.owned_by is not None and self.type is not None:
            table, column = sequence.owned_by
            held = context.catalog.tables[table].by_name[column].type if table in context.catalog.tables else self.type
            if held != self.type:
                told = f"{table}.{column} is {held}, and {sequence.name} gives {self.type} from then on"
                fix = "widen the column before it runs out"
                hazards.append(Hazard("column-too-narrow", "warning", told, fix))
        return Compiled(steps=(step,), hazards=tuple(hazards))
