"""OpenLineage events of a run: each leg is a run of a job, with the tables it writes and what columns are made of.

https://openlineage.io/docs/spec/object-model: a START, then one of COMPLETE, ABORT and FAIL, of the same run.
"""

from __future__ import annotations

import logging
import os
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from queue import SimpleQueue

from openlineage.client import OpenLineageClient
from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent, RunState, set_producer
from openlineage.client.facet_v2 import (
    column_lineage_dataset,
    documentation_job,
    error_message_run,
    job_type_job,
    output_statistics_output_dataset,
    ownership_job,
    processing_engine_run,
)
from openlineage.client.generated.base import DatasetFacet, JobFacet, OutputDatasetFacet, RunFacet
from openlineage.client.naming.dataset import Postgres
from openlineage.client.uuid import generate_new_uuid
from psycopg.conninfo import conninfo_to_dict

from crossfade.execute import LegPassed, LegStarted, Notice, RunEnded, RunStarted, StepFinished
from crossfade.plan import Lineage, Plan
from crossfade.spec import Project
from crossfade.steps.step import Copy, Relation, Walk

_LOG = logging.getLogger(__name__)
_PRODUCER = f"https://pypi.org/project/crossfade/{version('crossfade')}"
_PATIENCE = 5.0  # seconds for what is still on its way when a run ends
_OWN = "crossfade"  # the schema of the ledger and of what a migration keeps meanwhile


@dataclass
class _Leg:
    """The leg under way, as a run of the job of that name. rows: written, by table."""

    name: str
    run_id: str = field(default_factory=lambda: str(generate_new_uuid()))
    rows: Counter[tuple[str, Relation]] = field(default_factory=Counter[tuple[str, Relation]])


class _Post:
    """Sends events of one run in their order, aside: a server that hangs must not keep a migration waiting."""

    def __init__(self, client: OpenLineageClient) -> None:
        self._client = client
        self._events: SimpleQueue[RunEvent | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="openlineage", daemon=True)
        self._thread.start()

    def send(self, event: RunEvent) -> None:
        self._events.put(event)

    def close(self) -> None:
        """Wait for what is still on its way, though not for ever."""
        self._events.put(None)
        self._thread.join(_PATIENCE)

    def _work(self) -> None:
        while (event := self._events.get()) is not None:
            try:
                self._client.emit(event)
            except Exception as error:  # whatever the transport raises
                _LOG.warning("an OpenLineage event was not taken: %s", type(error).__name__)


class OpenLineage:
    """A listener of one runner. Where the events go is said by the client's own variables and files."""

    def __init__(self, project: Project) -> None:
        set_producer(_PRODUCER)
        self._project = project
        self._client = OpenLineageClient()
        self._namespace = os.environ.get("OPENLINEAGE_NAMESPACE", "crossfade")
        self._plan: Plan | None = None
        self._leg: _Leg | None = None
        self._post: _Post | None = None

    def __call__(self, notice: Notice) -> None:
        match notice:
            case RunStarted():
                self._plan, self._post = notice.plan, _Post(self._client)
                if notice.back:
                    self._begin("rollback")
            case LegStarted():
                self._begin(notice.leg)
            case StepFinished(step=Walk() as walk) if self._leg is not None:
                self._leg.rows[walk.database, walk.relation] += notice.rows
            case StepFinished(step=Copy() as copy) if self._leg is not None:
                self._leg.rows[copy.database, copy.of.target] += notice.rows
            case LegPassed():
                self._end(RunState.COMPLETE)
            case RunEnded(failure=None):
                self._end(RunState.COMPLETE if notice.ended in ("undone", "waiting", "reached") else RunState.ABORT)
                self._finish()
            case RunEnded():
                self._end(RunState.FAIL, notice.failure.what if notice.failure else None)
                self._finish()
            case _:
                pass

    def _begin(self, name: str) -> None:
        self._leg = _Leg(name)
        self._emit(RunState.START, self._leg, None)

    def _end(self, state: RunState, why: str | None = None) -> None:
        if self._leg is not None:
            leg, self._leg = self._leg, None
            self._emit(state, leg, why)

    def _finish(self) -> None:
        if self._post is not None:
            self._post.close()
            self._post = None

    def _emit(self, state: RunState, leg: _Leg, why: str | None) -> None:
        plan, post = self._plan, self._post
        assert plan is not None
        assert post is not None
        engine = processing_engine_run.ProcessingEngineRunFacet(version("crossfade"), "crossfade")
        facets: dict[str, RunFacet] = {"processing_engine": engine}
        if why is not None:
            facets["errorMessage"] = error_message_run.ErrorMessageRunFacet(why, "SQL")
        lineage = [line for line in plan.lineage if leg.name == _leg_of_lineage(plan)]
        event = RunEvent(
            eventType=state,
            eventTime=datetime.now(UTC).isoformat(),
            run=Run(leg.run_id, facets),
            job=Job(self._namespace, f"{plan.migration}.{leg.name}", _about(plan)),
            inputs=[InputDataset(*self._named(*table)) for table in _read(lineage)],
            outputs=[self._output(table, lineage, leg) for table in _written(plan, leg, lineage)],
        )
        post.send(event)

    def _output(self, table: tuple[str, Relation], lineage: Iterable[Lineage], leg: _Leg) -> OutputDataset:
        facets: dict[str, DatasetFacet] = {}
        if fields := {line.column: self._made_of(line) for line in lineage if _table(line, line.table) == table}:
            facets["columnLineage"] = column_lineage_dataset.ColumnLineageDatasetFacet(fields)
        counted: dict[str, OutputDatasetFacet] = {}
        if table in leg.rows:
            rows = output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(rowCount=leg.rows[table])
            counted["outputStatistics"] = rows
        namespace, name = self._named(*table)
        return OutputDataset(namespace, name, facets=facets, outputFacets=counted)

    def _made_of(self, line: Lineage) -> column_lineage_dataset.Fields:
        how = "IDENTITY" if line.expression in line.sources else "TRANSFORMATION"
        done = column_lineage_dataset.Transformation("DIRECT", how, line.expression)
        named = self._named(*_source(line))
        return column_lineage_dataset.Fields(
            [column_lineage_dataset.InputField(*named, source, [done]) for source in line.sources]
        )

    def _named(self, database: str, relation: Relation) -> tuple[str, str]:
        """Namespace and name, as every integration with PostgreSQL makes them; of the address nothing else is told."""
        address = conninfo_to_dict(self._project.databases[database].conninfo())
        host = str(address.get("host") or "localhost").split(",")[0]
        naming = Postgres(
            "localhost" if host.startswith(("/", "@")) else host,
            str(address.get("port") or 5432).split(",")[0],
            str(address.get("dbname") or address.get("user") or database),
            relation.schema_name,
            relation.name,
        )
        return naming.get_namespace(), naming.get_name()


def _about(plan: Plan) -> dict[str, JobFacet]:
    about: dict[str, JobFacet] = {
        "jobType": job_type_job.JobTypeJobFacet("BATCH", "CROSSFADE", "TASK"),
        "documentation": documentation_job.DocumentationJobFacet(plan.title),
    }
    if plan.owner:
        about["ownership"] = ownership_job.OwnershipJobFacet([ownership_job.Owner(plan.owner)])
    return about


def _leg_of_lineage(plan: Plan) -> str:
    """Where rows get what the plan's columns are made of; where none are written, names turn at cutover, or at once."""
    legs = [str(leg) for leg in plan.legs]
    return next((leg for leg in ("backfill", "cutover") if leg in legs), legs[0])


def _read(lineage: Iterable[Lineage]) -> list[tuple[str, Relation]]:
    return [*dict.fromkeys(_source(line) for line in lineage)]


def _written(plan: Plan, leg: _Leg, lineage: Iterable[Lineage]) -> list[tuple[str, Relation]]:
    """The users' tables that steps of the leg write or alter; of a rollback those of all legs."""
    return [*dict.fromkeys([*_altered(plan, leg.name), *(_table(line, line.table) for line in lineage)])]


def _altered(plan: Plan, leg: str) -> Iterator[tuple[str, Relation]]:
    for step in plan.steps:
        if str(step.leg) != leg and leg != "rollback":
            continue
        for lock in step.locks:
            if lock.mode != "ACCESS SHARE" and lock.relation.schema_name != _OWN:
                yield step.database, lock.relation


def _table(line: Lineage, table: str) -> tuple[str, Relation]:
    schema, _, name = table.partition(".")
    return line.database, Relation(schema_name=schema, name=name)


def _source(line: Lineage) -> tuple[str, Relation]:
    _, relation = _table(line, line.of or line.table)
    return line.of_database or line.database, relation
