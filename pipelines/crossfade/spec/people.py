"""Who is who: the roles and the names in tokens that are one person's, and those that are nobody's."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, NamedTuple

from pydantic import AfterValidator, BeforeValidator, Field

from crossfade.errors import Problem
from crossfade.spec.approvals import issuer_and_group
from crossfade.spec.document import Document
from crossfade.spec.values import check_identifier, listed


class Identity(NamedTuple):
    """As whom somebody approves. issuer: by the project's name for it; None: `name` is a role of the database."""

    issuer: str | None
    name: str


def identity_of(text: str) -> Identity:
    """That of `ada`, a role, or of `github:ada`, a name in the tokens of an issuer."""
    issuer, name = issuer_and_group(text) or (None, text)
    return Identity(issuer, name)


def _check_identity(value: str) -> str:
    return value if issuer_and_group(value) else check_identifier(value)


IdentityText = Annotated[str, Field(min_length=1), AfterValidator(_check_identity)]
Identities = Annotated[
    tuple[IdentityText, ...], BeforeValidator(listed, json_schema_input_type=IdentityText | list[IdentityText])
]


@dataclass(frozen=True)
class People:
    """persons: by what they may approve as; empty where the project does not say. machines: nobody's."""

    persons: Mapping[Identity, str]
    machines: frozenset[Identity]

    @classmethod
    def of(cls, people: Mapping[str, Collection[str]], machines: Collection[str]) -> People:
        """From what crossfade.yaml says."""
        persons = {identity_of(each): person for person, identities in people.items() for each in identities}
        return cls(persons, frozenset(map(identity_of, machines)))

    def called(self, names: Collection[str]) -> frozenset[str]:
        """The persons who bear one of these names, as a person, a role or in a token."""
        by_identity = {person for identity, person in self.persons.items() if identity.name in names}
        return frozenset(by_identity | (set(self.persons.values()) & set(names)))


def problems_of_people(
    document: Document, people: Mapping[str, Collection[str]], machines: Collection[str], issuers: Collection[str]
) -> Iterator[Problem]:
    """What is wrong with the two mappings: an issuer that nobody named, an identity of two."""
    places = [
        (text, f"{person}'s", ("people", person, place))
        for person, identities in people.items()
        for place, text in enumerate(identities)
    ]
    places += [(text, "a machine's", ("machines", place)) for place, text in enumerate(machines)]
    seen: dict[Identity, str] = {}
    for text, whose, path in places:
        identity = identity_of(text)
        where = document.position(path)
        if identity.issuer is not None and identity.issuer not in issuers:
            what = f"`{text}` is a name in tokens of `{identity.issuer}`, an issuer that is not named"
            yield Problem(what, where, "so nothing is ever given by it", "name it there, under `issuers`")
        if (before := seen.setdefault(identity, whose)) != whose:
            what = f"`{text}` is {before} already, so it cannot be {whose}"
            yield Problem(what, where, "an approval is one person's", "say it once")
