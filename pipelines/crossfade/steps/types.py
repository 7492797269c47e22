"""Enums, domains and composite types as statements that make them again."""

from __future__ import annotations

from collections.abc import Iterator

from crossfade.catalog.model import Composite, Domain, Enum, Name
from crossfade.composing import sql
from crossfade.spec.fragment import trusted
from crossfade.steps.compose import identifier
from crossfade.steps.privileges import grants

OURS = "crossfade"  # the schema in which types wait while they have no name of the user's

_OWNED = """DO $crossfade$
BEGIN
  IF pg_catalog.has_schema_privilege({role}, {schema}, 'CREATE') THEN
    {owned};
  ELSE
    GRANT CREATE ON SCHEMA {ours} TO {owner};
    {owned};
    REVOKE CREATE ON SCHEMA {ours} FROM {owner};
  END IF;
END $crossfade$"""


def made_again(type_: Enum | Domain | Composite, *, maker: str) -> Iterator[sql.Composable]:
    """The type as it was, with its owner, comment and grants. maker: the role that makes it."""
    name = type_.name
    match type_:
        case Enum():
            yield made_enum(name, type_.values)
        case Composite():
            attributes = sql.SQL(", ").join(trusted(attribute) for attribute in type_.attributes)
            yield sql.SQL("CREATE TYPE {} AS ({})").format(identifier(name), attributes)
        case Domain():
            yield from _domain(type_)
    word = "DOMAIN" if isinstance(type_, Domain) else "TYPE"
    if type_.comment is not None:
        yield sql.SQL("COMMENT ON {} {} IS {}").format(trusted(word), identifier(name), sql.Literal(type_.comment))
    subject = sql.SQL("{} {}").format(trusted(word), identifier(name))
    if not any(item.startswith("=") for item in type_.grants):
        yield sql.SQL("REVOKE ALL ON {} FROM PUBLIC").format(subject)
    yield from grants(subject, (item for item in type_.grants if not item.startswith((f"{type_.owner}=", "="))))
    if type_.owner != maker:
        owned = sql.SQL("ALTER {} {} OWNER TO {}").format(trusted(word), identifier(name), sql.Identifier(type_.owner))
        yield _in_our_schema(type_.owner, owned) if name.schema == OURS else owned


def _in_our_schema(owner: str, owned: sql.Composable) -> sql.Composable:
    """PostgreSQL gives nothing to whom may not make it in its schema, and in ours nobody else makes anything."""
    return sql.SQL(_OWNED).format(
        role=sql.Literal(owner),
        owner=sql.Identifier(owner),
        ours=sql.Identifier(OURS),
        schema=sql.Literal(OURS),
        owned=owned,
    )


def made_enum(name: Name, values: tuple[str, ...]) -> sql.Composable:
    words = sql.SQL(", ").join(map(sql.Literal, values))
    return sql.SQL("CREATE TYPE {} AS ENUM ({})").format(identifier(name), words)


def _domain(domain: Domain) -> Iterator[sql.Composable]:
    clauses: list[sql.Composable] = [trusted(domain.type)]
    if domain.collation is not None:
        clauses.append(sql.SQL("COLLATE {}").format(identifier(domain.collation)))
    if domain.default is not None:
        clauses.append(trusted(f"DEFAULT {domain.default}"))
    if domain.not_null and not any(rule == "NOT NULL" for _, rule in domain.constraints):
        clauses.append(sql.SQL("NOT NULL"))
    unproved = [(name, rule) for name, rule in domain.constraints if rule.endswith(" NOT VALID")]
    for name, rule in domain.constraints:
        if (name, rule) not in unproved:
            clauses.append(sql.SQL("CONSTRAINT {} {}").format(sql.Identifier(name), trusted(rule)))
    yield sql.SQL("CREATE DOMAIN {} AS {}").format(identifier(domain.name), sql.SQL(" ").join(clauses))
    for name, rule in unproved:
        yield sql.SQL("ALTER DOMAIN {} ADD CONSTRAINT {} {}").format(
            identifier(domain.name), sql.Identifier(name), trusted(rule)
        )
    for name, said in domain.rule_comments.items():
        yield rule_comment(domain, name, said)


def rule_comment(domain: Domain, rule: str, said: str) -> sql.Composable:
    return sql.SQL("COMMENT ON CONSTRAINT {} ON DOMAIN {} IS {}").format(
        sql.Identifier(rule), identifier(domain.name), sql.Literal(said)
    )


def renamed_type(before: Name, after: Name) -> Iterator[sql.Composable]:
    """A type gets another name, and another schema where that is another."""
    there = Name(before.schema, after.name)
    yield sql.SQL("ALTER TYPE {} RENAME TO {}").format(identifier(before), sql.Identifier(after.name))
    if after.schema != before.schema:
        yield sql.SQL("ALTER TYPE {} SET SCHEMA {}").format(identifier(there), sql.Identifier(after.schema))
