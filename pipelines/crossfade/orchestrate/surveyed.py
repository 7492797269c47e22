"""What the ledgers say when definitions are loaded: which migrations are history, and the plans of those in work."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime

from dagster._core.definitions.definitions_load_context import DefinitionsLoadContext, DefinitionsLoadType
from pydantic import TypeAdapter, ValidationError

from crossfade.execute import Blocked
from crossfade.execute.frozen import thaw
from crossfade.execute.survey import Survey, survey
from crossfade.orchestrate.history import RECENT, History
from crossfade.plan import Plan
from crossfade.spec import Project

_WITHIN = 3.0  # seconds: definitions load while databases are down
_PLANS = 100  # of each database: one costs as much as three assets
_CACHE = "history.json"  # in the project's .crossfade: what the ledgers said when they last answered
_KEY = "crossfade/history"
_History = TypeAdapter(dict[str, datetime])  # of migrations, with when they were complete
_Completed = TypeAdapter(dict[str, dict[str, datetime]])  # the same by database, for each ledger's part


@dataclass(frozen=True)
class Surveyed:
    """history: migrations that are long complete. plans: of the latest that are in work; none in a run, which shows
    them to nobody."""

    history: History
    plans: Mapping[str, Plan] = field(default_factory=dict[str, Plan])


def surveyed(project: Project) -> Surveyed:
    """Ask the ledgers of the project's databases.

    A run must know the assets it was launched for: it is told what its code location found, and asks nobody.
    """
    context = DefinitionsLoadContext.get()
    if context.load_type == DefinitionsLoadType.RECONSTRUCTION and _KEY in context.reconstruction_metadata:
        return Surveyed(_History.validate_json(context.reconstruction_metadata[_KEY]))
    answers = survey(project.databases, latest=_PLANS, within=_WITHIN)
    history = _history(project, _with_earlier(project, answers))
    if context.load_type == DefinitionsLoadType.INITIALIZATION:
        context.add_to_pending_reconstruction_metadata(_KEY, _History.dump_json(history).decode())
    return Surveyed(history, _plans(project, answers))


def _history(project: Project, completed: Mapping[str, Mapping[str, datetime]]) -> dict[str, datetime]:
    # A migration's own database is the last to say that it is complete.
    until = datetime.now(UTC) - RECENT
    found = {each.id: completed.get(each.head.database, {}).get(each.id) for each in project.migrations}
    return {name: since for name, since in found.items() if since is not None and since < until}


def _plans(project: Project, answers: Mapping[str, Survey]) -> dict[str, Plan]:
    homes = {each.id: each.head.database for each in project.migrations}
    plans: dict[str, Plan] = {}
    for database, answer in answers.items():
        for record in answer.in_work:
            if homes.get(record.id) == database:
                with suppress(Blocked):  # of another crossfade; whoever runs it is told
                    plans[record.id] = thaw(record)
    return plans


def _with_earlier(project: Project, answers: Mapping[str, Survey]) -> dict[str, dict[str, datetime]]:
    """What is complete by database; of those that did not answer, as they said when they last did."""
    cache = project.root / ".crossfade" / _CACHE
    known: dict[str, dict[str, datetime]] = {}
    with suppress(OSError, ValidationError):
        known = _Completed.validate_json(cache.read_bytes())
    completed = known | {database: {**answer.completed} for database, answer in answers.items()}
    if completed != known:
        with suppress(OSError):  # the folder may be read-only
            cache.parent.mkdir(exist_ok=True)
            whole = cache.with_suffix(".tmp")
            whole.write_bytes(_Completed.dump_json(completed))
            whole.replace(cache)
    return completed
