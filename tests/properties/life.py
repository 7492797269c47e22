"""One table through a migration, in any order of phases, pauses, crashes, rollbacks and writes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from tests.properties.subjects import SUBJECTS, VALUES, Subject
from tests.properties.things import KEYS, Things, Write
from tests.scene import Scene

from crossfade.execute import Notice, Outcome, Runner, StepFinished, StepRefused, pause, resume

LEGS = ("expand", "backfill", "validate", "cutover", "retire", "archive", "drop")
PROVEN = ("validate", "cutover", "retire")  # legs that may begin with the proof that both sides agree


@dataclass(frozen=True)
class Meanwhile:
    """What happens while the engine runs: after which of its notices."""

    writes: tuple[tuple[int, Write], ...]
    pause: int | None
    crash: int | None


class Crash(Exception):
    """The runner dies of it."""


def writes(subject: Subject) -> st.SearchStrategy[Write]:
    old = VALUES[subject.type]
    new = VALUES[subject.new_type] if subject.new_type else st.none()
    return st.builds(
        Write,
        st.sampled_from(["old", "new", "neither", "delete"]),
        st.none() | st.integers(0, 30),
        st.tuples(st.none() | old, st.none() | new),
    )


class Life(RuleBasedStateMachine):
    """Subclassed with `open_scene`, which gives a scene over a fresh database for as long as the stack is open."""

    open_scene: Callable[[ExitStack], Scene]

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        self.scene = type(self).open_scene(self.stack)
        self.started = False

    def teardown(self) -> None:
        self.stack.close()

    @initialize(
        subject=st.sampled_from(SUBJECTS), key=st.sampled_from(sorted(KEYS)), required=st.booleans(), data=st.data()
    )
    def begin(self, subject: Subject, key: str, required: bool, data: st.DataObject) -> None:
        self.subject = subject
        required = required and not (subject.new is None and subject.down is None)
        self.things = Things(self.scene, self.stack.enter_context(self.scene.connect()), subject, key, required)
        values = VALUES[subject.type] if required else st.none() | VALUES[subject.type]
        for value in data.draw(st.lists(values, max_size=8)):
            self.things.seed(value)
        self.scene.spec(
            f"changes:\n  - {subject.change}\nbackfill: {{workers: 1}}\ncontract:\n  stages:\n"
            "    - cutover:\n    - retire:\n    - archive: {keep: 30d}\n    - drop:\n"
        )

    # --- what people and applications do -----------------------------------------------------------------

    @rule(data=st.data())
    def write(self, data: st.DataObject) -> None:
        for one in data.draw(st.lists(writes(self.subject), min_size=1, max_size=4)):
            self.things.write(one)
        self.things.look()

    @rule(through=st.sampled_from(LEGS), data=st.data())
    def advance(self, through: str, data: st.DataObject) -> None:
        meanwhile = data.draw(self._meanwhile())
        self.things.mend()
        self._finish_undoing()
        self._run(lambda runner: runner.advance(self.scene.migration(), through=self._leg(through)), meanwhile)

    @rule(through=st.sampled_from(PROVEN))
    def advance_with_conflicts(self, through: str) -> None:
        self._finish_undoing()
        passed = self._passed()
        outcome = self._run(lambda runner: runner.advance(self.scene.migration(), through=self._leg(through)), None)
        if self.things.in_conflict and "validate" not in passed:
            assert outcome is None, f"{through} passed with rows in conflict"

    @precondition(lambda self: self.started)
    @rule(to=st.sampled_from([None, *LEGS]), data=st.data())
    def rollback(self, to: str | None, data: st.DataObject) -> None:
        meanwhile = data.draw(self._meanwhile())
        self.things.mend()
        self._roll_back(self._leg(to) if to else None, meanwhile)

    def _roll_back(self, to: str | None, meanwhile: Meanwhile | None) -> None:
        self._run(lambda runner: runner.rollback("m", to=to), meanwhile)

    def _finish_undoing(self) -> None:
        """A way back that was cut off or paused ends before anything goes forward."""
        record = self.scene.ledger().migration("m") if self.started else None
        if record is not None and record.state == "undoing":
            self.things.mend()
            self._roll_back(None, None)

    def _meanwhile(self) -> st.SearchStrategy[Meanwhile | None]:
        at = st.integers(0, 14)
        some = st.lists(st.tuples(at, writes(self.subject)), max_size=3).map(tuple)
        rarely = st.one_of(st.none(), st.none(), at)
        return st.none() | st.builds(Meanwhile, some, rarely, rarely)

    # --- the engine ----------------------------------------------------------------------------------------

    def _leg(self, wanted: str) -> str:
        """The wanted leg, or the last before it that the plan has."""
        plan = self.scene.runner().plan(self.scene.migration())
        known = {str(leg) for leg in plan.legs}
        return next(leg for leg in reversed(LEGS[: LEGS.index(wanted) + 1]) if leg in known)

    def _passed(self) -> set[str]:
        if not self.started:
            return set()
        return {name for name, leg in self.scene.ledger().legs("m").items() if leg.passed_at is not None}

    def _run(self, go: Callable[[Runner], Outcome], meanwhile: Meanwhile | None) -> Outcome | None:
        """Let the engine work; gives None where it refused, which only rows in conflict excuse."""
        self.started = True
        count = -1
        ours: set[int] = set()

        def listen(notice: Notice) -> None:
            nonlocal count
            if isinstance(notice, StepFinished):
                self.things.follow(notice.step.id)
            if meanwhile is None:
                return
            count += 1
            for at, one in meanwhile.writes:
                if at == count:
                    self.things.write(one)
            if meanwhile.pause == count and count not in ours:
                ours.add(count)
                pause(self.scene.project(), "m")
            if meanwhile.crash == count:
                raise Crash

        outcome: Outcome | None = None
        try:
            outcome = go(Runner(self.scene.project(), listen))
            self.started = not (outcome.ended == "undone" and not self._passed())
            note(f"ended {outcome.ended} after {outcome.passed}")
        except Crash:
            note("crashed")
        except StepRefused as refusal:
            note(f"refused: {refusal}")
            if not self.things.in_conflict:
                raise
        # A pause that came when nothing was left to be undone ends with the migration.
        if self.started and self.scene.ledger().paused("m"):
            resume(self.scene.project(), "m")
        self.things.look()
        return outcome
