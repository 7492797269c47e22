"""The component of a Dagster project: `type: crossfade.MigrationSpecs` in a defs.yaml.

No postponed annotations here: Dagster reads those of the model. The language itself is no part of its attributes:
Dagster would take `{{ }}` in their SQL for templates of its own.
"""

from pathlib import Path

from dagster import Component, ComponentLoadContext, ComponentTypeSpec, Definitions, Model, Resolvable
from pydantic import Field, NonNegativeFloat, NonNegativeInt

from crossfade.orchestrate.build import build_definitions
from crossfade.orchestrate.refusals import Patience


class Retries(Model, Resolvable):
    """How a run waits for what passes by itself: a lock, a lease, a database that does not answer."""

    tries: NonNegativeInt = Field(default=Patience.tries, description="How often a phase is tried again.")
    first_wait: NonNegativeFloat = Field(
        default=Patience.first, description="Seconds until the second try; each wait is twice the one before."
    )


class MigrationSpecs(Component, Model, Resolvable):
    """The migrations of a crossfade project, as assets, checks, sensors and jobs."""

    path: str = Field(
        default=".",
        description="The folder with databases.yaml and migration_specs/, or one below it; from this file's folder on.",
    )
    retries: Retries = Field(default_factory=Retries, description="How a run waits for what passes by itself.")

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
        return build_definitions(Path(context.path, self.path), patience=patience, executor=None)
