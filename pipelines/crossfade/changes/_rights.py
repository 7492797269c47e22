"""The right to make something in a schema, told when planning."""

from __future__ import annotations

from crossfade.changes._change import Hazard
from crossfade.changes._context import Context
from crossfade.composing import sql
from crossfade.spec.fragment import trusted


def missing_right(context: Context, schema: str, what: str) -> tuple[Hazard, ...]:
    """what: that which is made or renamed there, with its article. A step is certain to be refused without."""
    role = context.catalog.role
    lacking = ["USAGE"] if schema in role.shut_out_of else []
    lacking += [] if context.catalog.schemas.get(schema, True) else ["CREATE"]
    if not lacking:
        return ()
    grant = sql.SQL("GRANT {} ON SCHEMA {} TO {}").format(
        trusted(", ".join(lacking)), sql.Identifier(schema), sql.Identifier(role.name)
    )
    told = f"role {role.name} may not create {what} in schema {schema}"
    return (Hazard("missing-right", "danger", told, grant.as_string(None)),)
