-- Whether the role may set session_replication_role, and so keep other triggers from firing during a backfill.
SELECT has_parameter_privilege(current_user, 'session_replication_role', 'SET') AS may_set
