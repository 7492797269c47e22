"""sql: statements of the author's own, in a phase, with their undo and their proof."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

import postgast
from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from crossfade.changes._change import Change, Compiled, Hazard
from crossfade.changes._context import Context
from crossfade.changes._linted import linted
from crossfade.changes._runs_alone import runs_alone
from crossfade.changes._script_locks import ScriptLocks, script_locks
from crossfade.spec.model import Phase
from crossfade.steps.compose import relation
from crossfade.steps.step import AnyStep, Autocommit, Check, Ddl, Leg, Lock, Script, stage_leg

LastingStage = Literal["tighten", "cutover", "retire", "archive", "drop"]  # what is done in a brownout does not stay
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
    copies = [statement.stmt.copy_stmt for statement in tree.stmts if statement.stmt.HasField("copy_stmt")]
    if any(not copy.filename for copy in copies):
        raise ValueError("COPY FROM STDIN and TO STDOUT need a client that sends or takes rows: say INSERT")
    return text


Statements = Annotated[str, AfterValidator(_parsed)]


class Sql(Change):
    """Run statements of your own, where no other kind of change fits.

    `BEGIN` and `COMMIT` are the engine's. Without a transaction the ledger notes before and after each statement
    how far it got. What they SET holds for them alone, not for what the engine does next.

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

    Those that the text and the catalog tell: the plan shows them as it does for every step, and in a transaction they
    are taken before the first statement, in an order that nobody is ended for, within `locks.timeout`, and tried again
    as long as `locks.budget` allows. They are held until the step is done.

    What they do not tell is named: what DO, CALL and functions do, whatever CASCADE reaches, tables of schemas that
    the project does not name.

    ## Hazards

    - `sql-locks`: a statement takes a lock under which clients wait, with the kind of change that does the same and
      lets them go on. One that scans or rewrites the table holds it for as long.
    - `sql-holds-rows`: UPDATE, DELETE or MERGE; every row that they write is held until the step is done.
    - `sql-locks-unknown`: what is locked cannot be told.
    - `sql-lint`: what [squawk](https://squawkhq.com/docs/rules) finds in `up`, but for locks and timeouts, which the
      plan tells itself. A file `.squawk.toml` beside the specs or above them says which of its rules you want;
      `sql-not-linted` where it cannot be read.
    - `sql-no-down`: it cannot be taken back.

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

    up: Statements = Field(description="One or more statements.")
    down: Statements | None = Field(
        None, description="What takes it back; without it the migration cannot be undone past here."
    )
    verify: Statements | None = Field(None, description="A query that gives true when `up` has had its effect.")
    transaction: bool = Field(
        True, description="`up` runs in one transaction with its ledger row; `false`: each statement by itself."
    )
    phase: Phase = Field("expand", description="Where it runs.")
    stage: LastingStage | None = Field(None, description="With `phase: contract`: the stage; default drop.")
    title: str | None = Field(None, description="What it does.")
    reason: Literal["repeatable"] | None = Field(
        None, description="`repeatable`: running `up` twice does no harm (needed without transaction and verify)."
    )

    @field_validator("stage")
    @classmethod
    def _stage_is_of_contract(cls, value: LastingStage | None, info: ValidationInfo) -> LastingStage | None:
        if value is not None and info.data.get("phase", "contract") != "contract":
            raise ValueError("only `phase: contract` has stages; say that too, or leave the stage out")
        return value

    def compile(self, context: Context) -> Compiled:
        """The statements as one step, which takes what they are known to lock before it begins."""
        if not self.transaction and self.verify is None and self.reason is None:
            context.refuse(
                "sql without a transaction needs `verify`",
                why="after a crash nothing else could tell whether it was done",
                fix="give `verify`, or `reason: repeatable` when running it twice does no harm",
            )
        if self.transaction:
            for field in ("up", "down"):
                self._refuse_outside(context, field)
        leg = stage_leg(self.stage or "drop") if self.phase == "contract" else Leg(phase=self.phase)
        step_id = f"{context.schema}/sql/{context.index}"
        title = self.title or f"run SQL: {' '.join(self.up.split())[:60]}"
        shared: dict[str, Any] = {"leg": leg, "database": context.database}
        statements, back = _split(self.up), _split(self.down) if self.down else ()
        found = script_locks(statements, context.catalog, context.schema)
        undo: tuple[AnyStep, ...] = ()
        if back:
            undone = script_locks(back, context.catalog, context.schema)
            told: dict[str, Any] = shared | {
                "id": f"{step_id}/undo",
                "title": f"take back: {title}",
                **_locking(undone),
            }
            undo = (
                Ddl(statements=back, **told) if self.transaction else Autocommit(statements=back, done=None, **told),
            )
        undo_title = "run `down`" if back else "not possible: no `down` is given"
        shared |= {"id": step_id, "title": title, "undo": undo, "undo_title": undo_title, "irreversible": not back}
        shared |= _locking(found)
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
        folder = context.where.file.resolve().parent
        hazards = [*_hazards(found), *linted(self.up, folder, in_transaction=self.transaction)]
        if not back:
            hazards.append(
                Hazard("sql-no-down", "danger", "there is no `down`: this cannot be taken back", "give `down`")
            )
        return Compiled(steps=tuple(steps), hazards=tuple(hazards))

    def _refuse_outside(self, context: Context, field: Literal["up", "down"]) -> None:
        script = self.up if field == "up" else self.down
        for statement in _split(script) if script else ():
            if runs_alone(statement):
                context.refuse(
                    f"PostgreSQL runs {' '.join(statement.split())[:60]} outside of a transaction only",
                    fix="say `transaction: false`, and `verify`, which tells whether it was done",
                    at=(field,),
                )


def _locking(found: ScriptLocks) -> dict[str, Any]:
    return {"locks": found.locks(), "script": Script(unknown_locks=found.unknown)}


def _hazards(found: ScriptLocks) -> Iterator[Hazard]:
    for taken in found.taken:
        lock = Lock(relation=relation(taken.relation), mode=taken.mode)
        if lock.blocks_clients:
            yield Hazard(
                "sql-locks",
                "warning",
                f"{taken.by} takes {taken.mode} on {taken.relation}: {lock.blocks} of it wait until the step is done",
                taken.safer or "keep what comes after it in the same step short",
            )
    for held in found.holds:
        yield Hazard(
            "sql-holds-rows",
            "warning",
            f"{held.by} holds every row that it writes until the step is done",
            f"use `{held.kind}`, which writes in batches",
        )
    if found.unknown:
        yield Hazard(
            "sql-locks-unknown",
            "warning",
            f"the plan cannot tell what is locked by {', '.join(found.unknown)}, nor for how long",
            "keep each statement to one table, or use a kind of change that says",
        )


def _split(script: str) -> tuple[str, ...]:
    return tuple(statement.strip() for statement in postgast.split(script))


def _one(query: str) -> str:
    return query.strip().rstrip(";")
