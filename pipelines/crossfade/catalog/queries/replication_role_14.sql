-- Only superusers may set session_replication_role: parameters cannot be granted before PostgreSQL 15.
SELECT rolsuper AS may_set FROM pg_roles WHERE rolname = current_user
