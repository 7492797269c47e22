"""The component of a Dagster project: `type: crossfade.MigrationSpecs` in a defs.yaml.

No postponed annotations here: Dagster reads those of the model. The language itself is no part of its attributes:
Dagster would take `{{ }}` in their SQL for templates of its own.
"""

from pathlib import Path

from dagster import Component, ComponentLoadContext, ComponentTypeSpec, Definitions, Model, Resolvable
from pydantic import Field, NonNegativeFloat, NonNegativeInt, field_validator

from crossfade.orchestrate.alerts import Slowness
from crossfade.orchestrate.build import build_definitions
from crossfade.orchestrate.refusals import Patience
from crossfade.spec.values import format_duration, parse_duration


class Retries(Model, Resolvable):
    """How a run waits for what passes by itself: a lock, a lease, a database that does not answer."""

    tries: NonNegativeInt = Field(default=Patience.tries, description="How often a phase is tried again.")
    first_wait: NonNegativeFloat = Field(
        default=Patience.first, description="Seconds until the second try; each wait is twice the one before."
    )


class Alerts(Model, Resolvable):
    """From when on people are told of a migration that takes long; where to, says the variable CROSSFADE_ALERTS."""

    running: str = Field(default=format_duration(Slowness.running), description="How long one may run its phase.")
    waiting: str = Field(default=format_duration(Slowness.waiting), description="How long it may wait at its gates.")
    again: str = Field(default=format_duration(Slowness.again), description="After what time it is told again.")

    @field_validator("running", "waiting", "again")
    @classmethod
    def _is_a_duration(cls, value: str) -> str:
        parse_duration(value)
        return value


class MigrationSpecs(Component, Model, Resolvable):
    """The migrations of a crossfade project, as assets, checks, sensors and jobs."""

    path: str = Field(
        default=".",
        description="The folder with databases.yaml and migration_specs/, or one below it; from this file's folder on.",
    )
    retries: Retries = Field(default_factory=Retries, description="How a run waits for what passes by itself.")
    alerts: Alerts = Field(default_factory=Alerts, description="From when on people are told that one takes long.")

    @classmethod
    def get_spec(cls) -> ComponentTypeSpec:
        """What `dg list components` tells."""
        return ComponentTypeSpec(
            description="PostgreSQL migrations that old and new application versions live through side by side.",
            tags=["postgres", "migrations"],
            produces=["asset", "asset_check", "sensor", "job"],
        )

    def build_defs(self, context: ComponentLoadContext) -> Definitions:
        """Raises ProjectNotFoundError. Which executor runs them, the Dagster project says for all that is in it."""
        patience = Patience(self.retries.tries, self.retries.first_wait)
        alerts = self.alerts
        slowness = Slowness(*map(parse_duration, (alerts.running, alerts.waiting, alerts.again)))
        return build_definitions(Path(context.path, self.path), patience=patience, slowness=slowness, executor=None)
