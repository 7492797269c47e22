"""crossfade.yaml: what holds for all migrations of a project; the file may be missing."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Annotated

from pydantic import Field

from crossfade.errors import Problem
from crossfade.spec.approvals import ISSUER_NAME, Issuer, OverrideRule, unknown_issuer
from crossfade.spec.calendar import Freeze
from crossfade.spec.databases import FILE as DATABASES_FILE
from crossfade.spec.document import read_document
from crossfade.spec.errors import SpecError, did_you_mean
from crossfade.spec.flags import Flags
from crossfade.spec.people import Identities, People, problems_of_people
from crossfade.spec.validation import validated
from crossfade.spec.values import Duration, SpecModel

FILE = "crossfade.yaml"


class ContractDefaults(SpecModel):
    """What holds for the contract of specs that do not say otherwise."""

    warn_after: Duration | None = Field(
        default=None,
        description="A stage that could have begun longer ago than this is told as waiting too long.",
        examples=["30d"],
    )


class Settings(SpecModel):
    """What a project says once, for all its migrations."""

    freezes: tuple[Freeze, ...] = Field(default=(), description="Days on which no phase or stage begins.")
    issuers: dict[Annotated[str, Field(pattern=f"^{ISSUER_NAME}$")], Issuer] = Field(
        default_factory=dict[str, Issuer],
        description="Issuers of OIDC tokens by which people may approve, each by a name of your own.",
    )
    override: OverrideRule | None = Field(
        default=None, description="Who may override gates of specs that do not say who; default: nobody."
    )
    people: dict[Annotated[str, Field(min_length=1)], Identities] = Field(
        default_factory=dict[str, tuple[str, ...]],
        description="Who approves as what: for each person their roles, and their names in tokens as ISSUER:NAME. Where"
        " it is given, nobody else's approval counts.",
        examples=[{"ada": ["ada", "github:ada-l"]}],
    )
    machines: Identities = Field(
        default=(),
        description="Roles, and names in tokens as ISSUER:NAME, that are no person's: they start migrations and never"
        " approve.",
        examples=[["ci_migrator", "github:renovate[bot]"]],
    )
    contract: ContractDefaults = Field(
        default=ContractDefaults(), description="What holds for specs that do not say otherwise."
    )
    flags: Flags | None = Field(default=None, description="Whom gates ask for feature flags.")

    @property
    def who_is_who(self) -> People:
        """Whose the identities are by which people approve."""
        return People.of(self.people, self.machines)


def load_settings(path: Path, databases: Collection[str]) -> Settings:
    """The settings of a project; the defaults where there is no file. Raises SpecError with everything that is wrong.

    databases: the names that databases.yaml gives.
    """
    if not path.exists():
        return Settings()
    document = read_document(path)
    problems: list[Problem] = []
    settings = validated(Settings, document, (), problems, page="docs/language.md#project")
    for index, freeze in enumerate(settings.freezes if settings else ()):
        for place, name in enumerate(freeze.databases):
            if name not in databases:
                where = document.position(("freezes", index, "databases", place))
                why = f"databases are named in {DATABASES_FILE}"
                problems.append(
                    Problem(f"`{name}` is no database of this project", where, why, did_you_mean(name, databases))
                )
    rule = settings.override if settings else None
    if settings and rule and (what := unknown_issuer(rule.from_, settings.issuers)):
        where = document.position(("override", "from"))
        problems.append(Problem(what, where, "nobody could override", "name it there, under `issuers`"))
    if settings:
        problems += problems_of_people(document, settings.people, settings.machines, settings.issuers)
    if settings is None or problems:
        raise SpecError.sorted(problems)
    return settings
