"""A table that another one will stand for: is it what the plan saw? What it got since would not be on the other one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from crossfade.catalog.model import ForeignKey, Table
from crossfade.composing import sql
from crossfade.steps.compose import identifier
from crossfade.steps.followers import Follower

_FACTS = """
SELECT pg_catalog.concat_ws(' ', 'column', a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), a.attidentity,
                            a.attgenerated, pg_catalog.pg_get_expr(d.adbin, d.adrelid))
  FROM pg_attribute AS a LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
 WHERE a.attrelid = {0} AND a.attnum > 0 AND NOT a.attisdropped
UNION ALL
SELECT pg_catalog.concat_ws(' ', 'constraint', k.conname, pg_catalog.pg_get_constraintdef(k.oid))
  FROM pg_constraint AS k WHERE k.conrelid = {0} AND k.contype <> 't'
UNION ALL
SELECT pg_catalog.concat_ws(' ', 'index', pg_catalog.pg_get_indexdef(i.indexrelid))
  FROM pg_index AS i WHERE i.indrelid = {0} AND i.indisvalid
UNION ALL
SELECT pg_catalog.concat_ws(' ', 'trigger', t.tgenabled, pg_catalog.pg_get_triggerdef(t.oid))
  FROM pg_trigger AS t
 WHERE t.tgrelid = {0} AND NOT t.tgisinternal AND NOT pg_catalog.starts_with(t.tgname::text, '_cf_')
UNION ALL
SELECT pg_catalog.concat_ws(' ', 'policy', p.polname, pg_catalog.pg_get_expr(p.polqual, p.polrelid),
                            pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid))
  FROM pg_policy AS p WHERE p.polrelid = {0}
UNION ALL
SELECT pg_catalog.concat_ws(' ', 'row security', c.relrowsecurity, c.relforcerowsecurity)
  FROM pg_class AS c WHERE c.oid = {0}
UNION ALL
SELECT pg_catalog.concat_ws(' ', 'grant', g)
  FROM pg_class AS c, pg_catalog.unnest(coalesce(c.relacl, pg_catalog.acldefault('r', c.relowner))) AS g
 WHERE c.oid = {0}
UNION ALL
SELECT pg_catalog.concat_ws(' ', 'reference', n.nspname, c.relname, k.conname, pg_catalog.pg_get_constraintdef(k.oid))
  FROM pg_constraint AS k JOIN pg_class AS c ON c.oid = k.conrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
 WHERE k.confrelid = {0} AND k.contype = 'f'"""

_IDENTITY = {"always": "a", "by default": "d", None: ""}
_GENERATED = {"stored": "s", "virtual": "v", None: ""}


def of_table(table: Table, references: Iterable[ForeignKey]) -> Follower:
    """As something to be asked for by its facts. references: the foreign keys that point at it."""
    name = sql.Literal(identifier(table.name).as_string(None))
    return Follower(
        shown=f"table {table.name}",
        relation=table.name,
        height=0,
        make=(),
        facts=sql.SQL(_FACTS).format(sql.SQL("pg_catalog.to_regclass({})::oid").format(name)),
        told=tuple(_told(table, references)),
    )


def _told(table: Table, references: Iterable[ForeignKey]) -> Iterator[str]:
    for column in table.columns:
        words = ["column", column.name, column.type, _IDENTITY[column.identity], _GENERATED[column.generated]]
        yield " ".join([*words, *([column.default] if column.default is not None else [])])
    yield from (f"constraint {c.name} {c.definition}" for c in table.constraints if c.kind != "trigger")
    yield from (f"index {index.definition}" for index in table.indexes if index.valid)
    yield from (f"trigger {trigger.enabled} {trigger.definition}" for trigger in table.user_triggers)
    for policy in table.policies:
        yield " ".join(["policy", policy.name, *(said for said in (policy.using, policy.check) if said is not None)])
    yield f"row security {_letter(table.row_security)} {_letter(table.force_row_security)}"
    yield from (f"grant {item}" for item in table.grants)
    for key in references:
        yield f"reference {key.child.schema} {key.child.name} {key.name} {key.definition}"


def _letter(value: bool) -> str:
    return "t" if value else "f"
