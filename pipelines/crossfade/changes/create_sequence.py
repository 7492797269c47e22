"""create_sequence: a source of numbers."""

from __future__ import annotations

from pydantic import Field

from crossfade.changes._change import Compiled
from crossfade.changes._context import Context
from crossfade.changes._created import made, new_name
from crossfade.changes._sequence import SequenceOptions
from crossfade.composing import sql
from crossfade.steps.compose import identifier


class CreateSequence(SequenceOptions):
    """Create a sequence.

    A column whose numbers come from a sequence of its own is written `identity: true` in
    [create_table](create_table.md); this is for numbers that several tables share, or that the application asks for.

    ## Old and new versions

    The new version may use the sequence when expand has ended; the old one does not know it.

    ## Undo

    Drops the sequence. PostgreSQL refuses that while something uses it, and the rollback says what.

    ## Locks

    With `owned_by`, ACCESS SHARE on that table for an instant.

    ## Hazards

    Numbers are taken out of order and with gaps: a transaction that is rolled back gives none back, and with `cache`
    each session takes several at a time.

    ## Example

    ```yaml
    changes:
      - create_sequence: {sequence: invoice_number, start: 1000}
    ```
    """

    comment: str | None = Field(None, description="What is told of it.")

    def compile(self, context: Context) -> Compiled:
        """One statement in expand."""
        name = new_name(context, self.sequence, "sequence")
        clauses = sql.SQL(" ").join(self.clauses(context))
        statement = sql.SQL("CREATE SEQUENCE {} {}").format(identifier(name), clauses)
        return made(context, name, "SEQUENCE", [statement], self.comment)
