"""alter_domain: a rule more, proved over what is stored; a rule less; another default."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field, model_validator

from crossfade.catalog.model import Column, Domain, Table
from crossfade.changes._change import Change, Compiled, Hazard
from crossfade.changes._context import Context
from crossfade.changes._created import refuse_missing
from crossfade.changes._instant import instant
from crossfade.changes.create_domain import refuse_unsound
from crossfade.composing import sql
from crossfade.spec.errors import did_you_mean
from crossfade.spec.fragment import Expression, trusted
from crossfade.spec.values import Identifier, SpecModel
from crossfade.steps.compose import identifier, lock, relation, text
from crossfade.steps.step import AnyStep, Check, Ddl, Leg, Lock, stage_leg
from crossfade.steps.types import rule_comment

_VALIDATES_ONLINE = 180000  # before, VALIDATE takes SHARE on every table that has a column of the domain
Stored = tuple[Table, Column]


class DomainRule(SpecModel):
    """A rule of a domain."""

    name: Identifier = Field(description="What the rule is called.")
    check: Expression = Field(description="SQL over VALUE.")
    stored: Literal["check", "leave"] = Field(
        "check", description="`leave`: the rule is for new values only, and what is stored is not looked at."
    )


class AlterDomain(Change):
    """Alter a domain.

    `add` gives it a rule: values that break it are counted first, without a lock, and the phase waits until they are
    mended; then the rule is added NOT VALID, so that it binds new values, and proved over the stored ones. `drop`
    takes a rule away, in the last stage. `default` is another default, from `cutover` on.

    ## Old and new versions

    From the phase on in which a rule is added (`enforce`: `validate` or `contract`) a value that breaks it is refused
    of either version.

    ## Undo

    Drops the rule; adds the dropped one again; sets the default back.

    ## Locks

    To prove a rule: SHARE UPDATE EXCLUSIVE on every table with a column of the domain, a scan that lets reads and
    writes go on, from PostgreSQL 18 on. Before, PostgreSQL takes SHARE, which stops writes: refused where such a table
    has rows. Nothing else locks a table.

    ## Hazards

    - `binds-old-writers`: from then on either version's statements fail on a value that breaks the rule.
    - `unproved-again`: before PostgreSQL 18, the undo of `drop` adds the rule for new values only.

    A rule before PostgreSQL 18 on a domain that is in use: say `stored: leave`, or give the rule to the columns
    (`add_constraint`). SET NOT NULL has no online form: use a rule `VALUE IS NOT NULL`.

    ## Example

    ```yaml
    changes:
      - alter_domain:
          domain: email
          add: {name: is_short, check: length(VALUE) < 255}
    ```
    """

    domain: Identifier = Field(description="The domain's name, in the `schema` of the database, or `schema.name`.")
    add: DomainRule | None = Field(None, description="A rule it gets.")
    drop: Identifier | None = Field(None, description="The name of a rule it loses.")
    default: Expression | None = Field(None, description="SQL; `null` takes the default away.")
    enforce: Literal["validate", "contract"] | None = Field(
        None, description="From when a new rule binds; default: as the migration says."
    )

    @model_validator(mode="after")
    def _says_one_thing(self) -> AlterDomain:
        if len(self.model_fields_set & {"add", "drop", "default"}) != 1:
            raise ValueError("give exactly one of `add`, `drop` and `default`")
        if self.enforce is not None and self.add is None:
            raise ValueError("`enforce` says from when a new rule binds; it needs `add`")
        return self

    def compile(self, context: Context) -> Compiled:
        """A rule in its leg, or one statement in contract."""
        name = context.name(self.domain)
        domain = context.catalog.domains.get(name)
        if domain is None:
            refuse_missing(context, "domain", name, context.catalog.domains, "domain")
        stored = [
            (table, column)
            for table in context.catalog.tables.values()
            if table.partition_of is None
            for column in table.columns
            if column.type_name == domain.name
        ]
        if self.add is not None:
            return self._add(context, domain, self.add, stored)
        if self.drop is not None:
            return _drop(context, domain, self.drop, stored)
        step = instant(
            context,
            stage_leg("cutover"),
            f"{domain.name}/default",
            f"change the default of domain {domain.name}",
            [_default(domain, str(self.default) if self.default is not None else None)],
            [_default(domain, domain.default)],
            "set the default back",
        )
        return Compiled(steps=(step,))

    def _add(self, context: Context, domain: Domain, rule: DomainRule, stored: Sequence[Stored]) -> Compiled:
        if any(rule.name == name for name, _ in domain.constraints):
            context.refuse(f"{domain.name} has a rule {rule.name} already", at=("add", "name"))
        refuse_unsound(context, rule.check, domain.type, "add", "check")
        leg = {"validate": Leg(phase="validate"), "contract": stage_leg("tighten"), None: context.rules_leg}[
            self.enforce
        ]
        if rule.stored == "check":
            _refuse_blocking_proof(context, domain, stored)
        added = instant(
            context,
            leg,
            f"{domain.name}/rule/{rule.name}/add",
            f"bind new values of {domain.name} to {rule.name}",
            [_added(domain, rule.name, f"CHECK ({rule.check})")],
            [_dropped(domain, rule.name)],
            "drop the rule",
        )
        steps: list[AnyStep] = [added]
        if rule.stored == "check":
            steps = [
                *(_ask(context, leg, domain, rule, each) for each in stored),
                added,
                _proved(context, leg, domain, rule.name, stored, f"{domain.name}/rule/{rule.name}/validate"),
            ]
        binds = Hazard(
            "binds-old-writers",
            "warning",
            f"from {leg} on a statement of either version that gives {domain.name} a value against {rule.name} fails",
            "see that no version writes such values, or say `enforce: contract`",
        )
        return Compiled(steps=tuple(steps), hazards=(binds,))


def _ask(context: Context, leg: Leg, domain: Domain, rule: DomainRule, stored: Stored) -> Check:
    table, column = stored
    words = f"values of {table.name}.{column.name} that break {rule.name}"
    value = sql.SQL("SELECT CAST(t.{} AS {}) AS value FROM {} AS t").format(
        sql.Identifier(column.name), trusted(domain.type), identifier(table.name)
    )
    query = sql.SQL("SELECT pg_catalog.count(*) AS {} FROM ({}) AS domain WHERE ({}) IS FALSE").format(
        sql.Identifier(words), value, trusted(str(rule.check))
    )
    return Check(
        id=f"{domain.name}/rule/{rule.name}/ask/{table.name}/{column.name}",
        leg=leg,
        database=context.database,
        title=f"ask that there are no {words}",
        locks=lock(relation(table.name), "ACCESS SHARE"),
        query=query.as_string(None),
        fix="mend these rows (a spec with update_rows, or by hand), then run `crossfade up` again",
    )


def _proved(context: Context, leg: Leg, domain: Domain, rule: str, stored: Sequence[Stored], step_id: str) -> Ddl:
    online = context.catalog.server.version >= _VALIDATES_ONLINE
    tables = dict.fromkeys(relation(table.name) for table, _ in stored)
    mode = "SHARE UPDATE EXCLUSIVE" if online else "SHARE"
    return Ddl(
        id=step_id,
        leg=leg,
        database=context.database,
        title=f"check every stored value of {domain.name} for {rule}",
        locks=tuple(Lock(relation=each, mode=mode) for each in tables),
        statements=text(
            sql.SQL("ALTER DOMAIN {} VALIDATE CONSTRAINT {}").format(identifier(domain.name), sql.Identifier(rule))
        ),
        scans=True,
    )


def _refuse_blocking_proof(context: Context, domain: Domain, stored: Sequence[Stored]) -> None:
    version = context.catalog.server.version
    if version < _VALIDATES_ONLINE and (held := [table for table, _ in stored if table.size]):
        context.refuse(
            f"{held[0].name} has values of {domain.name}, and {context.database} runs PostgreSQL {version // 10000}",
            why="before 18 nobody writes the table while PostgreSQL goes through it to prove a domain's rule",
            fix="say `stored: leave` for a rule over new values only; or give the rule to the columns (add_constraint)",
            at=("add", "stored"),
        )


def _drop(context: Context, domain: Domain, rule: str, stored: Sequence[Stored]) -> Compiled:
    rules = dict(domain.constraints)
    if rule not in rules:
        context.refuse(f"{domain.name} has no rule {rule}", fix=did_you_mean(rule, rules), at=("drop",))
    leg, definition = stage_leg("drop"), rules[rule]
    if definition == "NOT NULL":
        context.refuse(
            f"{rule} of {domain.name} is its NOT NULL",
            why="an undo could set it again only by a scan that stops writes",
            fix="drop it with a `sql` change in `phase: contract`",
            at=("drop",),
        )
    unproved = definition.endswith(" NOT VALID")
    again = [_added(domain, rule, definition.removesuffix(" NOT VALID"))]
    again += [rule_comment(domain, rule, domain.rule_comments[rule])] if rule in domain.rule_comments else []
    gone = instant(
        context,
        leg,
        f"{domain.name}/rule/{rule}/drop",
        f"drop the rule {rule} of {domain.name}",
        [_dropped(domain, rule)],
        again,
        "add the rule again",
    )
    provable = context.catalog.server.version >= _VALIDATES_ONLINE or not stored
    if unproved or provable:
        proof = () if unproved else (_proved(context, leg, domain, rule, stored, f"{gone.id}/undo/validate"),)
        return Compiled(steps=(gone.model_copy(update={"undo": (*gone.undo, *proof)}),))
    unproven = Hazard(
        "unproved-again",
        "warning",
        f"before PostgreSQL 18 an undo adds {rule} to {domain.name} for new values only, NOT VALID",
        "validate it by hand when nobody writes, should it come to that",
    )
    return Compiled(steps=(gone,), hazards=(unproven,))


def _added(domain: Domain, rule: str, definition: str) -> sql.Composable:
    return sql.SQL("ALTER DOMAIN {} ADD CONSTRAINT {} {} NOT VALID").format(
        identifier(domain.name), sql.Identifier(rule), trusted(definition)
    )


def _dropped(domain: Domain, rule: str) -> sql.Composable:
    return sql.SQL("ALTER DOMAIN {} DROP CONSTRAINT {}").format(identifier(domain.name), sql.Identifier(rule))


def _default(domain: Domain, value: str | None) -> sql.Composable:
    clause = trusted(f"SET DEFAULT {value}") if value is not None else sql.SQL("DROP DEFAULT")
    return sql.SQL("ALTER DOMAIN {} {}").format(identifier(domain.name), clause)
