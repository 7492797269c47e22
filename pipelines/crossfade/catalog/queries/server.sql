-- One row: the server, the role this session acts as, and what is installed.
-- pg_current_wal_lsn() fails on a standby; CASE keeps it from being called there.
SELECT current_database() AS database,
       current_setting('server_version_num')::int AS version,
       pg_is_in_recovery() AS in_recovery,
       current_setting('wal_level') AS wal_level,
       current_setting('TimeZone') AS timezone,
       current_setting('block_size')::int AS block_size,
       r.rolname AS role,
       r.rolsuper AS superuser,
       has_database_privilege(current_database(), 'CREATE') AS may_create_schema,
       ARRAY(SELECT m.rolname::text FROM pg_roles m WHERE pg_has_role(m.oid, 'USAGE')) AS member_of,
       (SELECT coalesce(jsonb_object_agg(e.extname, e.extversion), '{}') FROM pg_extension e) AS extensions,
       (SELECT jsonb_object_agg(s.name, current_setting(s.name, true))
          FROM unnest(%(settings)s::text[]) AS s (name)
         WHERE current_setting(s.name, true) IS NOT NULL) AS settings,
       (SELECT jsonb_agg(jsonb_build_object(
                   'application_name', coalesce(w.application_name, ''),
                   'state', coalesce(w.state, 'unknown'),
                   'lag_seconds', extract(epoch FROM w.replay_lag),
                   'lag_bytes', pg_wal_lsn_diff(
                       CASE WHEN pg_is_in_recovery()
                            THEN pg_last_wal_receive_lsn() ELSE pg_current_wal_lsn() END,
                       w.replay_lsn)) ORDER BY w.application_name, w.pid)
          FROM pg_stat_replication w) AS replicas
  FROM pg_roles r
 WHERE r.rolname = current_user
