"""The rights that docs/operations.md lists, each as the statement that grants it."""

from __future__ import annotations

RIGHTS = {
    "owner": "GRANT {owner} TO {role}",
    "usage": "GRANT USAGE ON SCHEMA {schema} TO {role}",
    "create": "GRANT CREATE ON SCHEMA {schema} TO {role}",
    "looks": "GRANT USAGE ON SCHEMA {schema} TO {owner}",
    "given": "GRANT CREATE ON SCHEMA {schema} TO {owner}",
    "ledger": "GRANT CREATE ON DATABASE {database} TO {role}",
    "parent": "GRANT REFERENCES, SELECT ON {parent} TO {role}",
    "rows": "GRANT SELECT, UPDATE ON {filled} TO {role}",
    "written": "GRANT SELECT, INSERT, UPDATE, DELETE ON {parent} TO {role}",
    "read": "GRANT SELECT ON {asked} TO {role}",
    "silence": "GRANT SET ON PARAMETER session_replication_role TO {role}",
    "stats": "GRANT pg_read_all_stats TO {role}",
    "signal": "GRANT pg_signal_backend TO {role}",
}
