-- Sessions that hold ACCESS EXCLUSIVE on a table of this database.
SELECT n.nspname || '.' || c.relname AS relation,
       l.pid,
       coalesce(nullif(a.application_name, ''), 'no application_name') AS application_name
  FROM pg_locks l
  JOIN pg_database d ON d.oid = l.database AND d.datname = current_database()
  JOIN pg_class c ON c.oid = l.relation AND c.relkind IN ('r', 'p', 'f', 'v', 'm')
  JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_stat_activity a ON a.pid = l.pid
 WHERE l.mode = 'AccessExclusiveLock' AND l.granted AND l.pid <> pg_backend_pid()
 ORDER BY 1, 2
