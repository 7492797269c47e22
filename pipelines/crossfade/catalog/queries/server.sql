-- One row: the server, the role this session acts as, and what is installed.
-- pg_current_wal_lsn() fails on a standby; CASE keeps it from being called there.
-- Asked with the search_path of the session, which is one of its settings, so every function's schema is said.
SELECT pg_catalog.current_database() AS database,
       pg_catalog.current_setting('server_version_num')::int AS version,
       pg_catalog.pg_is_in_recovery() AS in_recovery,
       pg_catalog.current_setting('wal_level') AS wal_level,
       pg_catalog.current_setting('TimeZone') AS timezone,
       pg_catalog.current_setting('block_size')::int AS block_size,
       r.rolname AS role,
       r.rolsuper AS superuser,
       r.rolsuper OR r.rolbypassrls AS sees_every_row,
       pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE') AS may_create_schema,
       ARRAY(SELECT m.rolname::text FROM pg_roles m WHERE pg_catalog.pg_has_role(m.oid, 'USAGE')) AS member_of,
       ARRAY(SELECT s.rolname::text FROM pg_roles s WHERE s.rolsuper) AS superusers,
       ARRAY(SELECT n.nspname::text FROM pg_namespace n
              WHERE n.nspname !~ '^pg_' AND NOT pg_catalog.has_schema_privilege(n.oid, 'USAGE')) AS shut_out_of,
       ARRAY(SELECT ARRAY[n.nspname::text, o.rolname::text]
               FROM (SELECT relnamespace AS schema, relowner AS owner FROM pg_class
                     UNION SELECT typnamespace, typowner FROM pg_type
                     UNION SELECT pronamespace, proowner FROM pg_proc) AS held
                    JOIN pg_namespace n ON n.oid = held.schema JOIN pg_roles o ON o.oid = held.owner
              WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
                AND NOT pg_catalog.has_schema_privilege(o.oid, n.oid, 'CREATE')) AS kept_from_making,
       (SELECT coalesce(pg_catalog.jsonb_object_agg(e.extname, e.extversion), '{}') FROM pg_extension e) AS extensions,
       (SELECT pg_catalog.jsonb_object_agg(s.name, pg_catalog.current_setting(s.name, true))
          FROM pg_catalog.unnest(%(settings)s::text[]) AS s (name)
         WHERE pg_catalog.current_setting(s.name, true) IS NOT NULL) AS settings,
       (SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
                   'application_name', coalesce(w.application_name, ''),
                   'state', coalesce(w.state, 'unknown'),
                   'lag_seconds', extract(epoch FROM w.replay_lag),
                   'lag_bytes', pg_catalog.pg_wal_lsn_diff(
                       CASE WHEN pg_catalog.pg_is_in_recovery()
                            THEN pg_catalog.pg_last_wal_receive_lsn() ELSE pg_catalog.pg_current_wal_lsn() END,
                       w.replay_lsn)) ORDER BY w.application_name, w.pid)
          FROM pg_stat_replication w) AS replicas
  FROM pg_roles r
 WHERE r.rolname = current_user
