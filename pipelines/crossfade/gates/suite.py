"""suite: expectations about the data, of a file in validations/, run by Great Expectations."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from crossfade.gates._failure import asking
from crossfade.gates._gate import Answer, Foresight, Gate, GateContext, GateError
from crossfade.gates.expectations import Suite, load_suite, suite_path
from crossfade.gates.expectations.elsewhere import comparisons, rows_there, with_other_rows
from crossfade.gates.expectations.subject import check_columns, check_columns_there, rows_of, subject_of
from crossfade.spec.errors import SpecError, did_you_mean
from crossfade.spec.values import MigrationId


class SuiteGate(Gate):
    """Hold when every expectation of a suite holds."""

    costly: ClassVar[bool] = True
    lasting: ClassVar[bool] = True

    suite: MigrationId = Field(
        description="The name of a file in validations/, without .yaml.", examples=["users_baseline"]
    )

    @property
    def label(self) -> str:
        return f"suite {self.suite}"

    def ask(self, context: GateContext) -> Answer:
        suite = self._load(context)
        database = suite.head.database or context.database
        schema = context.schema if database == context.database else None
        with asking(self.label), context.open(database) as session:
            subject = subject_of(suite, session, schema)
        # Here, because it imports Great Expectations: seconds.
        from crossfade.gates.expectations.run import run

        report = run(with_other_rows(suite, context.open), subject, context.url[database])
        return Answer("holds" if report.holds else "waits", report.reason, evidence=report.evidence)

    def foresee(self, foresight: Foresight) -> None:
        path = suite_path(foresight.root, self.suite)
        if not path.exists():
            known = sorted(other.stem for other in path.parent.glob("*.yaml"))
            raise GateError(
                f"there is no suite `{self.suite}`",
                why=f"a suite is a file in {path.parent.name}/; without it the gate could not be asked",
                fix=did_you_mean(self.suite, known),
            )
        suite = load_suite(path)
        database = suite.head.database or foresight.database
        rows = rows_of(suite, foresight.schema if database == foresight.database else None)
        columns = foresight.columns(rows.as_string(None), database, suite.where)
        if columns is not None:
            check_columns(suite, [column.name for column in columns])
        for expected in comparisons(suite):
            there = rows_there(expected).as_string(None)
            found = foresight.columns(there, expected.arguments["database"], expected.where)
            if found is not None:
                check_columns_there(suite, expected, [column.name for column in found])

    def _load(self, context: GateContext) -> Suite:
        try:
            return load_suite(suite_path(context.root, self.suite))
        except SpecError as error:
            raise GateError.of(error.problems) from None
