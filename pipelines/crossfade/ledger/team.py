"""A team is a role of the database, and whoever is a member of it now."""

from __future__ import annotations

from typing import Any

import psycopg


def team_members(connection: psycopg.Connection[Any], team: str) -> frozenset[str] | None:
    """The role and its members now, also through other roles; None when there is no such role.

    A superuser is a member only where somebody granted it.
    """
    rows = connection.execute(
        """
WITH RECURSIVE team AS (
  SELECT oid FROM pg_roles WHERE rolname = %s
  UNION
  SELECT m.member FROM pg_auth_members AS m JOIN team ON m.roleid = team.oid
   WHERE coalesce((pg_catalog.to_jsonb(m) ->> 'inherit_option'::text)::boolean
              OR (pg_catalog.to_jsonb(m) ->> 'set_option'::text)::boolean, true))
SELECT rolname::text FROM pg_roles JOIN team USING (oid)""",
        (team,),
    ).fetchall()
    return frozenset(name for (name,) in rows) or None
