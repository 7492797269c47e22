"""sql: statements of the author's own, in a phase, with their undo and their proof."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import postgast
from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from crossfade.changes._change import Change, Compiled, Hazard
from crossfade.changes._context import Context
from crossfade.spec.model import Phase, Stage
from crossfade.steps.step import AnyStep, Autocommit, Check, Ddl, Leg, stage_leg

_TRANSACTION_WORDS = "transaction_stmt"


def _parsed(text: str) -> str:
    try:
        tree = postgast.parse(text)
    except postgast.PgQueryError as error:
        raise ValueError(f"not SQL: {error.message}") from None
    if not tree.stmts:
        raise ValueError("there is no statement in it")
    if any(statement.stmt.HasField(_TRANSACTION_WORDS) for statement in tree.stmts):
        raise ValueError("BEGIN and COMMIT are the engine's: say `transaction: true` or `false`")
    return text


Script = Annotated[str, AfterValidator(_parsed)]


class Sql(Change):
    """Run statements of your own, where no other kind of change fits.

    `BEGIN` and `COMMIT` are the engine's. Without a transaction the ledger notes before and after each statement
    how far it got.

    ## Old and new versions

    What they see is what you write.

    ## Undo

    The author's `down`; without it the migration cannot be undone past here. `down` runs only where `up` had its
    effect: not where its first statement was refused, nor where `verify` gave true before any was run. Where a
    statement was cut off, or only some of several had returned, `verify` is asked. What it does not tell is left to
    you: neither a migration over several databases that fails nor `crossfade rollback` guesses. Look at what is
    there, then say `crossfade rollback NAME --run-down STEP` or `--skip-down STEP`, with the step that the refusal
    names; or let `crossfade up NAME` run it again first. A `down` of several statements that was cut off begins
    again; what it had dropped by then may be gone.

    ## Locks

    The plan cannot know all locks that such statements take, and says so. It names ALTER TABLE, LOCK, VACUUM FULL,
    CLUSTER, and CREATE INDEX and REINDEX without CONCURRENTLY, with what they lock and what does the same without
    keeping others waiting.

    ## Hazards

    A statement that scans or rewrites a table holds its locks for as long. Split it, or use the kind of change that
    does the same step by step.

    ## Example

    ```yaml
    changes:
      - sql:
          title: count visits by day
          up: |
            CREATE VIEW visits_by_day AS
            SELECT date_trunc('day', at) AS day, count(*) AS visits FROM visits GROUP BY 1
          down: DROP VIEW visits_by_day
          verify: SELECT to_regclass('visits_by_day') IS NOT NULL
    ```
    """

    up: Script = Field(description="One or more statements.")
    down: Script | None = Field(
        None, description="What takes it back; without it the migration cannot be undone past here."
    )
    verify: Script | None = Field(None, description="A query that gives true when `up` has had its effect.")
    transaction: bool = Field(
        True, description="`up` runs in one transaction with its ledger row; `false`: each statement by itself."
    )
    phase: Phase = Field("expand", description="Where it runs.")
    stage: Stage | None = Field(None, description="With `phase: contract`: the stage; default drop.")
    title: str | None = Field(None, description="What it does.")
    reason: Literal["repeatable"] | None = Field(
        None, description="`repeatable`: running `up` twice does no harm (needed without transaction and verify)."
    )

    @field_validator("stage")
    @classmethod
    def _stage_is_of_contract(cls, value: Stage | None, info: ValidationInfo) -> Stage | None:
        if value is not None and info.data.get("phase", "contract") != "contract":
            raise ValueError("only `phase: contract` has stages; say that too, or leave the stage out")
        return value

    def compile(self, context: Context) -> Compiled:
        """The statements as one step; the plan cannot know their locks."""
        if not self.transaction and self.verify is None and self.reason is None:
            context.refuse(
                "sql without a transaction needs `verify`",
                why="after a crash nothing else could tell whether it was done",
                fix="give `verify`, or `reason: repeatable` when running it twice does no harm",
            )
        leg = stage_leg(self.stage or "drop") if self.phase == "contract" else Leg(phase=self.phase)
        step_id = f"{context.schema}/sql/{context.index}"
        title = self.title or f"run SQL: {' '.join(self.up.split())[:60]}"
        shared: dict[str, Any] = {"leg": leg, "database": context.database}
        statements, back = _split(self.up), _split(self.down) if self.down else ()
        undo: tuple[AnyStep, ...] = ()
        if back:
            undo = (
                Ddl(id=f"{step_id}/undo", title=f"take back: {title}", statements=back, **shared)
                if self.transaction
                else Autocommit(
                    id=f"{step_id}/undo", title=f"take back: {title}", statements=back, done=None, **shared
                ),
            )
        undo_title = "run `down`" if back else "not possible: no `down` is given"
        shared |= {"id": step_id, "title": title, "undo": undo, "undo_title": undo_title, "irreversible": not back}
        step: AnyStep = (
            Ddl(statements=statements, **shared)
            if self.transaction
            else Autocommit(statements=statements, done=self.verify, **shared)
        )
        steps: list[AnyStep] = [step]
        if self.verify is not None:
            steps.append(
                Check(
                    id=f"{step_id}/verify",
                    leg=leg,
                    database=context.database,
                    title=f"verify: {title}",
                    query=f'SELECT CASE WHEN ({_one(self.verify)}) THEN 0 ELSE 1 END AS "failed verification"',
                    fix="see why `verify` does not give true",
                )
            )
        unknown = Hazard(
            "sql-locks-unknown",
            "warning",
            "the plan does not know which locks these statements take, nor for how long",
            "keep each statement to one table, or use a kind of change that says",
        )
        hazards = [unknown]
        if not back:
            hazards.append(
                Hazard("sql-no-down", "danger", "there is no `down`: this cannot be taken back", "give `down`")
            )
        return Compiled(steps=tuple(steps), hazards=tuple(hazards))


def _split(script: str) -> tuple[str, ...]:
    return tuple(statement.strip() for statement in postgast.split(script))


def _one(query: str) -> str:
    return query.strip().rstrip(";")
