"""A run over several migrations: which are tried, what is asked before, and what exit code it comes to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import typer

from crossfade.cli.telling import narrator
from crossfade.cli.terminal import ask, out
from crossfade.errors import CrossfadeError
from crossfade.execute import Blocked, Lookout, Outcome, Runner
from crossfade.execute.status import MigrationStatus, status_of
from crossfade.ledger import LeaseTaken
from crossfade.plan import Plan
from crossfade.report import print_summary
from crossfade.spec import Migration, Project
from crossfade.spec.model import STAGES
from crossfade.steps.step import Leg
from crossfade.telemetry import reported

# From here on the old values go out of step, or go: an undo is no more instant and complete.
_DESTRUCTIVE = ("archive", "drop")


class Run:
    """One call of `crossfade up`.

    through: the last phase or stage that may be done. asks: a person is asked first.
    let_by: the issuer, and whom its token names of whoever lets it.
    exit_code: 1 once a migration was refused or a gate will not hold.
    """

    def __init__(
        self, project: Project, *, through: str | None, asks: bool, as_json: bool, let_by: tuple[str, str] | None
    ) -> None:
        self.exit_code = 0
        self._project = project
        self._through = through
        self._asks = asks
        self._as_json = as_json
        self._narrator = narrator(as_json=as_json)
        self._runner = Runner(project, reported(project, self._narrator.hear), let_by=let_by)
        self._complete: set[str] = set()

    def named(self, migrations: Sequence[Migration]) -> None:
        """Take these forward; one that may not go on is an error."""
        statuses = self._statuses(migrations)
        for migration in migrations:
            if migration.id in self._complete:
                self._take(migration, is_wanted=True)
        todo = [migration for migration in migrations if migration.id not in self._complete]
        for migration in self._consented(todo, statuses):
            self._take(migration, is_wanted=True)

    def all_that_can(self) -> None:
        """Take forward whatever can go on, in the project's order; what cannot is told and no error."""
        statuses = self._statuses(self._project.migrations)
        todo = [migration for migration in self._project.migrations if self._is_tried(migration, statuses)]
        if not todo and len(self._complete) == len(statuses):
            said = _all_complete(len(statuses)) if statuses else "there are no migrations yet"
            typer.echo(f"nothing to do: {said}", err=self._as_json)
        for migration in self._consented(todo, statuses):
            if missing := self._missing(migration):
                self._narrator.left_out(migration, f"comes after {missing}")
            else:
                self._take(migration, is_wanted=False)

    # --- which ---------------------------------------------------------------------------------------

    def _statuses(self, migrations: Sequence[Migration]) -> dict[str, MigrationStatus]:
        found = status_of(self._project, migrations)
        self._complete |= {status.id for status in found if status.state == "complete"}
        return {status.id: status for status in found}

    def _is_tried(self, migration: Migration, statuses: dict[str, MigrationStatus]) -> bool:
        status = statuses[migration.id]
        match status.state:
            case "complete":
                # What is wrong with it is that its spec was edited: it is refused with the difference.
                return status.problem is not None
            case "unreachable":
                self._refused(migration, status.unasked[0])
                return False
            case "paused":
                self._narrator.left_out(migration, f"is paused: `crossfade resume {migration.id}`")
                return False
            case "undoing":
                self._narrator.left_out(migration, f"is being undone; it waits for {status.waits_for or status.holder}")
                return False
            case "undone":
                self._narrator.left_out(migration, f"was undone: `crossfade up {migration.id}` starts it again")
                return False
            case "waiting" if status.taken_back_to is not None:
                back = f"was taken back to {status.taken_back_to}"
                self._narrator.left_out(migration, f"{back}: `crossfade up {migration.id}` goes on")
                return False
            case "not started" | "running" | "waiting":
                return True

    def _missing(self, migration: Migration) -> str:
        return ", ".join(name for name in migration.head.after if name not in self._complete)

    # --- with whose consent --------------------------------------------------------------------------

    def _consented(self, todo: Sequence[Migration], statuses: dict[str, MigrationStatus]) -> Sequence[Migration]:
        """Those that somebody wants to go on, after a look at what each will do."""
        if not self._asks or not todo:
            return todo
        shown = [migration for migration in todo if self._shown(migration, statuses[migration.id], todo)]
        return shown if shown and self._agreed("Go on?") else ()

    def _shown(self, migration: Migration, status: MigrationStatus, todo: Sequence[Migration]) -> bool:
        if any(each.id in migration.head.after for each in todo):
            # Its plan depends on what they will have done.
            typer.echo(f"{migration.id} when what it comes after is complete\n")
            return True
        try:
            plan = self._runner.plan(migration)
        except CrossfadeError as error:
            self._refused(migration, error)
            return False
        print_summary(plan, status.leg, out())
        return True

    def _agreed(self, question: str) -> bool:
        if ask(question):
            return True
        typer.echo("stopped; nothing more was done")
        self.exit_code = 1
        return False

    # --- forward -------------------------------------------------------------------------------------

    def _take(self, migration: Migration, *, is_wanted: bool) -> None:
        self._narrator.begun(migration)
        try:
            outcome = self._advanced(migration)
        except CrossfadeError as error:
            # One that was not asked for by name may have to wait for another one's tables or runner.
            self._refused(migration, error, is_failure=is_wanted or not isinstance(error, Blocked | LeaseTaken))
            return
        self._narrator.ended(outcome)
        if outcome.ended == "complete":
            self._complete.add(migration.id)
        if any(waiting.answer.state == "never" for waiting in outcome.waiting):
            self.exit_code = 1

    def _refused(self, migration: Migration, error: CrossfadeError, *, is_failure: bool = True) -> None:
        self._narrator.refused(migration, error)
        if is_failure:
            self.exit_code = 1

    def _advanced(self, migration: Migration) -> Outcome:
        if not self._asks and self._through not in STAGES:
            return self._go(migration, self._through)
        # Starting a migration freezes its plan: a stage it does not have must be refused before.
        plan = self._runner.plan(migration)
        last = self._last(plan)
        safe = _last_before_loss(plan)
        if not self._asks or safe is None or last.order <= safe.order:
            return self._go(migration, str(last))
        outcome = self._go(migration, str(safe))
        if outcome.ended != "reached":
            return outcome
        with Lookout(self._project, self._runner.listen) as lookout:
            waiting = lookout.look(migration).waiting
        if waiting:
            return replace(outcome, ended="waiting", waiting=waiting)
        lost = plan.legs[plan.legs.index(safe) + 1]
        if not self._agreed(f"Next is {lost}: from then on an undo is no more instant. Go on?"):
            return outcome
        rest = self._go(migration, str(last))
        return replace(rest, passed=(*outcome.passed, *rest.passed))

    def _go(self, migration: Migration, through: str | None) -> Outcome:
        with self._narrator.at_work():
            return self._runner.advance(migration, through=through)

    def _last(self, plan: Plan) -> Leg:
        if self._through is None or self._through == "contract":
            return plan.legs[-1]
        if (leg := plan.leg(self._through)) is not None:
            return leg
        raise Blocked(
            f"{plan.migration} has no stage {self._through}",
            fix=f"it has: {', '.join(str(leg) for leg in plan.legs)}",
        )


def _last_before_loss(plan: Plan) -> Leg | None:
    """The leg before contract's first one that cannot be taken back at once and wholly; None when all can."""
    for leg in plan.legs:
        if leg.phase == "contract" and (
            leg.stage in _DESTRUCTIVE or any(step.irreversible for step in plan.steps_of(leg))
        ):
            return plan.before(leg)
    return None


def _all_complete(count: int) -> str:
    return "the one migration is complete" if count == 1 else f"{count} migrations, all complete"
