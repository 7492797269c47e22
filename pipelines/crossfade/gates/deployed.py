"""deployed: no old version of a service runs any more, by its sessions in the database or by what it says over HTTP."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from crossfade.gates._endpoint import fetch_json, shown
from crossfade.gates._failure import asking
from crossfade.gates._gate import Answer, Gate, GateContext
from crossfade.spec.applications import Address, JsonPath, Version
from crossfade.spec.values import SpecModel

_SESSIONS = """
SELECT application_name, pg_catalog.count(*)
  FROM pg_stat_activity
 WHERE datname = pg_catalog.current_database()
   AND (application_name = %(service)s
        OR pg_catalog.starts_with(application_name, %(service)s || '/')
        OR pg_catalog.starts_with(application_name, %(service)s || ' '))
 GROUP BY application_name ORDER BY application_name"""

_SHOWN, _LONGEST = 5, 40  # versions in a sentence, characters of what is none


class Deployed(SpecModel):
    """Of which service, and from which version on."""

    service: Annotated[str, Field(min_length=1)] | None = Field(
        None,
        description="How its sessions name themselves: `application_name` is `SERVICE/VERSION`.",
        examples=["profile-api"],
    )
    url: Address | None = Field(
        None, description="An endpoint that tells the version in JSON instead: `env:NAME`, or a URL without a secret."
    )
    path: JsonPath = Field("$.version", description="With `url`: where versions stand in the answer, a JSONPath.")
    at_least: Version = Field(description="The oldest version that may run.")
    allow_none: bool = Field(
        False, description="`true`: it also holds where no session is connected, or the answer has no version."
    )

    @model_validator(mode="after")
    def _one_is_asked(self) -> Self:
        if (self.service is None) == (self.url is None):
            raise ValueError("one of `service` and `url` tells where versions are looked for")
        if self.url is None and "path" in self.model_fields_set:
            raise ValueError("`path` is of the answer of a `url`")
        return self


@dataclass(frozen=True)
class Seen:
    """What runs. versions: how many of each, as written. unreadable: the same of what is no version."""

    versions: Mapping[str, int]
    unreadable: Mapping[str, int]


class DeployedGate(Gate):
    """Hold when every session of a service, or its endpoint, is of a version that is new enough."""

    deployed: Deployed = Field(description="The service, and the oldest version that may run.")
    database: str | None = Field(
        None, description="A name from databases.yaml, whose sessions count; default: the database of the migration."
    )

    @model_validator(mode="after")
    def _a_database_has_sessions(self) -> Self:
        if self.database is not None and self.deployed.url is not None:
            raise ValueError("`database` is of the sessions of a `service`, not of a `url`")
        return self

    @property
    def label(self) -> str:
        where = f" in {self.database}" if self.database else ""
        return f"deployed {self._subject} {self.deployed.at_least}{where}"

    @property
    def _subject(self) -> str:
        return shown(self.deployed.url) if self.deployed.url is not None else str(self.deployed.service)

    def ask(self, context: GateContext) -> Answer:
        if self.deployed.url is not None:
            return self._answer(
                _read(self._told(self.deployed.url, context.seconds)), "answer", f"`{self.deployed.path}` gives nothing"
            )
        database = self.database or context.database
        with asking(self.label), context.open(database) as session:
            rows = session.execute(_SESSIONS.encode(), {"service": self.deployed.service}).fetchall()
        named = ((name[len(self._subject) + 1 :], count) for name, count in rows)
        nobody = f"no session in {database} has the application_name `{self._subject}/VERSION`"
        return self._answer(_read(named), "session", nobody)

    def _told(self, address: str, seconds: float | None) -> Iterable[tuple[object, int]]:
        from jsonpath_rfc9535 import find

        return [(node.value, 1) for node in find(self.deployed.path, fetch_json(address, self.label, seconds))]

    def _answer(self, seen: Seen, noun: str, nobody: str) -> Answer:
        from packaging.version import Version as Parsed

        wanted = Parsed(self.deployed.at_least)
        older = {version: count for version, count in seen.versions.items() if Parsed(version) < wanted}
        evidence: dict[str, Any] = {
            "of": self._subject,
            "at_least": self.deployed.at_least,
            "versions": dict(seen.versions),
            "unreadable": sum(seen.unreadable.values()),
        }
        if not seen.versions and not seen.unreadable:
            return Answer("holds" if self.deployed.allow_none else "waits", nobody, evidence=evidence)
        faults: list[str] = []
        if older:
            faults.append(f"{_counted(older, noun)} older than {self.deployed.at_least}: {_listed(older)}")
        if seen.unreadable:
            # What an endpoint says in place of a version may be anything; an application_name is shown elsewhere too.
            words = [f"`{word[:_LONGEST]}`" for word in seen.unreadable if word and self.deployed.service]
            said = f" ({', '.join(words[:_SHOWN])})" if words else ""
            faults.append(f"{_counted(seen.unreadable, noun)} without a version that can be read{said}")
        if faults:
            return Answer("waits", f"{self._subject}: {'; '.join(faults)}", evidence=evidence)
        return Answer("holds", f"{self._subject}: {_listed(seen.versions)}", evidence=evidence)


def _read(told: Iterable[tuple[object, int]]) -> Seen:
    """Sort what is a version from what is not; of a text the first word counts: `2.4.1 worker-3`."""
    from packaging.version import InvalidVersion
    from packaging.version import Version as Parsed

    versions, unreadable = Counter[str](), Counter[str]()
    for value, count in told:
        first = next(iter(value.split()), "") if isinstance(value, str) else ""
        try:
            versions[str(Parsed(first))] += count
        except InvalidVersion:
            unreadable[first] += count
    return Seen(versions, unreadable)


def _counted(found: Mapping[str, int], noun: str) -> str:
    count = sum(found.values())
    return f"1 {noun} is" if count == 1 else f"{count} {noun}s are"


def _listed(versions: Mapping[str, int]) -> str:
    from packaging.version import Version as Parsed

    ordered = sorted(versions, key=Parsed)
    listed = ", ".join(f"{versions[version]} of {version}" for version in ordered[:_SHOWN])
    return listed + (f", and {len(ordered) - _SHOWN} more versions" if len(ordered) > _SHOWN else "")
