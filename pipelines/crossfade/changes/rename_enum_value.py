"""rename_enum_value: another word for the same value, in all rows at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from crossfade.catalog.model import Enum
from crossfade.changes._change import Change, Compiled, Hazard
from crossfade.changes._context import Context
from crossfade.changes._enum import Word, found_enum, refuse_unknown_value
from crossfade.changes._instant import instant
from crossfade.composing import sql
from crossfade.spec.values import Identifier
from crossfade.steps.compose import identifier
from crossfade.steps.step import EXPAND, stage_leg


class RenameEnumValue(Change):
    """Rename a value of an enum.

    In the catalog alone, at `cutover`: all rows have the new word at the same instant, and so have defaults, checks,
    views and index conditions, which hold the value and not its word. No row is written.

    An enum has one word for a value, so old and new version cannot each use their own. Where columns are of the enum,
    the change is refused until you say `old_writers: fail`: at cutover no version may write, read or compare the old
    word any more, nor the new one before. To have both words for a while, make an enum with the new words
    (`create_enum`), add a column of it beside the old one with `up` and `down` (`add_column`), and drop the old one.

    ## Old and new versions

    Until `cutover` there is the old word alone, from then on the new one alone. A version that knows both reads and
    writes what it finds; let a gate hold `cutover` back until only such versions run.

    ## Undo

    At once: the value gets its old word back.

    ## Locks

    None on any table.

    ## Hazards

    - `one-word`: who sends the old word from cutover on, or the new one before, gets an error.
    - `function-body`: the text of a function has the old word.

    ## Example

    ```yaml
    changes:
      - rename_enum_value: {enum: order_status, from: shiped, to: shipped, old_writers: fail}
    ```
    """

    enum: Identifier = Field(description="The enum's name, in the `schema` of the database, or `schema.name`.")
    from_: Word = Field(alias="from", description="The word as it is.")
    to: Word = Field(description="The word it shall be.")
    old_writers: Literal["fail"] | None = Field(
        None, description="`fail`: statements that send the old word fail from cutover on. Needed where columns use it."
    )

    def compile(self, context: Context) -> Compiled:
        """One statement, which no reader waits for."""
        enum = found_enum(context, self.enum)
        refuse_unknown_value(context, enum, self.from_, "from")
        if self.to in enum.values:
            context.refuse(
                f"{enum.name} has the value {self.to} already",
                why="two values cannot bear one word",
                fix=f"to make one value of both: drop_enum_value with `value: {self.from_}` and `to: {self.to}`",
                at=("to",),
            )
        stored = [use for use in enum.uses if use.kind in ("table column", "composite type column")]
        if stored and self.old_writers is None:
            context.refuse(
                f"{stored[0].user} is of {enum.name}, which can hold one word for a value, not two",
                why=f"an old version that sends {self.from_} gets an error from cutover on, and a new one that sends"
                f" {self.to} before it",
                fix="say `old_writers: fail` when every version that runs at cutover knows both words; otherwise"
                " create_enum with the new words, and add_column with `up` and `down` beside the old column",
            )
        step = instant(
            context,
            stage_leg("cutover") if stored else EXPAND,
            f"{enum.name}/value/{self.from_}/rename",
            f"rename the value {self.from_} of {enum.name} to {self.to}",
            [_renamed(enum, self.from_, self.to)],
            [_renamed(enum, self.to, self.from_)],
            "give the value its old word back",
        )
        told = f"who sends {self.from_} from cutover on, or {self.to} before it, gets an error"
        fix = "let a gate hold cutover back until every version takes both words"
        one_word = (Hazard("one-word", "danger", told, fix),) if stored else ()
        return Compiled(steps=(step,), hazards=(*one_word, *self._in_functions(context)))

    def _in_functions(self, context: Context) -> Iterator[Hazard]:
        literal = "'" + self.from_.replace("'", "''") + "'"
        for signature, function in context.catalog.functions.items():
            if literal in function.body:
                yield Hazard(
                    "function-body",
                    "warning",
                    f"{signature} has {literal} in its text: from then on it fails where it means this value",
                    "let it take both words first, by comparing the text of the value",
                )


def _renamed(enum: Enum, old: str, new: str) -> sql.Composable:
    return sql.SQL("ALTER TYPE {} RENAME VALUE {} TO {}").format(
        identifier(enum.name), sql.Literal(old), sql.Literal(new)
    )
