-- One row: the schemas asked for, and every table and view in them.
-- Partitions are followed into other schemas: a partitioned table without all its leaves would have wrong
-- sizes, and a backfill gaps. Neighbours are the tables elsewhere that foreign keys lead to or come from.
-- What others drop from now on cannot be printed any more. The other queries therefore first ask
-- has_table_privilege(), which is NULL for a table that is gone.
WITH RECURSIVE namespace AS (
    SELECT n.oid, n.nspname, has_schema_privilege(n.oid, 'CREATE') AS may_create,
           coalesce(n.nspacl, acldefault('n', n.nspowner))::text[] AS grants
      FROM pg_namespace n
     WHERE CASE WHEN %(schemas)s::text[] IS NULL
                THEN n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'crossfade')
                ELSE n.nspname = ANY (%(schemas)s::text[]) END
), relation AS (
    SELECT c.oid
      FROM pg_class c
      JOIN namespace n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'p', 'f', 'v', 'm') AND c.relpersistence <> 't'
     UNION
    SELECT c.oid
      FROM relation r
      JOIN pg_inherits i ON i.inhparent = r.oid
      JOIN pg_class c ON c.oid = i.inhrelid AND c.relispartition
)
SELECT (SELECT coalesce(jsonb_object_agg(n.nspname, n.may_create), '{}') FROM namespace n) AS schemas,
       (SELECT coalesce(jsonb_object_agg(n.nspname, n.grants), '{}') FROM namespace n) AS schema_grants,
       ARRAY(SELECT n.oid FROM namespace n) AS namespaces,
       ARRAY(SELECT r.oid FROM relation r) AS relations,
       ARRAY(SELECT k.conrelid FROM pg_constraint k
              WHERE k.contype = 'f' AND k.confrelid IN (SELECT r.oid FROM relation r)
                AND k.conrelid NOT IN (SELECT r.oid FROM relation r)
              UNION
             SELECT k.confrelid FROM pg_constraint k
              WHERE k.contype = 'f' AND k.conrelid IN (SELECT r.oid FROM relation r)
                AND k.confrelid NOT IN (SELECT r.oid FROM relation r)) AS neighbours
