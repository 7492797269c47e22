"""Functions of the user's, compiled anew in every session.

PL/pgSQL keeps the type that a field of NEW had when a session first ran the function, and fails from then on where the
column of that name has another one: `type of parameter 14 (bigint) does not match that when preparing the plan`.
"""

from __future__ import annotations

from collections.abc import Sequence

from crossfade.composing import sql


def recompile(signatures: Sequence[str]) -> str:
    """A statement that leaves each function as it is, and makes every session forget what it compiled of it.

    signatures: quoted and qualified, with their arguments' types; one that is gone is passed over.
    """
    return (
        sql.SQL(
            """DO $crossfade$
DECLARE altered text;
BEGIN
  FOR altered IN
    SELECT pg_catalog.format('ALTER FUNCTION %s %s', f.oid::regprocedure,
             CASE f.provolatile WHEN 'i' THEN 'IMMUTABLE' WHEN 's' THEN 'STABLE' ELSE 'VOLATILE' END)
      FROM pg_catalog.unnest({}) AS named (signature)
      JOIN pg_catalog.pg_proc AS f ON f.oid = pg_catalog.to_regprocedure(named.signature)::oid
  LOOP
    EXECUTE altered;
  END LOOP;
END $crossfade$"""
        )
        .format(sql.SQL("ARRAY[{}]::text[]").format(sql.SQL(", ").join(map(sql.Literal, signatures))))
        .as_string(None)
    )
