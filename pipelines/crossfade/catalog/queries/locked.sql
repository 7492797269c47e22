-- What others hold, or wait for, under ACCESS EXCLUSIVE, and views over it: whoever opened it now would wait behind
-- them. Each with the table it is or belongs to.
WITH RECURSIVE locked (oid, pid) AS (
    SELECT l.relation, l.pid
      FROM pg_locks l
     WHERE l.locktype = 'relation' AND l.mode = 'AccessExclusiveLock' AND l.pid <> pg_backend_pid()
       AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
     UNION
    SELECT r.ev_class, b.pid
      FROM locked b
      JOIN pg_depend d
        ON d.refclassid = 'pg_class'::regclass AND d.refobjid = b.oid AND d.classid = 'pg_rewrite'::regclass
      JOIN pg_rewrite r ON r.oid = d.objid
)
SELECT l.oid,
       n.nspname AS schema,
       c.relname AS name,
       string_agg(DISTINCT 'pid ' || l.pid || ' (' || coalesce(nullif(a.application_name, ''), 'no application_name')
                           || ')', ', ') AS holders
  FROM locked l
  LEFT JOIN pg_index i ON i.indexrelid = l.oid
  LEFT JOIN pg_class toasted ON toasted.reltoastrelid = l.oid
  JOIN pg_class c ON c.oid = coalesce(i.indrelid, toasted.oid, l.oid)
  JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_stat_activity a ON a.pid = l.pid
 GROUP BY l.oid, n.nspname, c.relname
