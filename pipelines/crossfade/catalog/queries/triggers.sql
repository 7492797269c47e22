-- Triggers a person made. Their copies on partitions count as internal in PostgreSQL 14, as those of foreign
-- keys do, but have no constraint.
SELECT t.tgrelid AS relation,
       t.tgname AS name,
       CASE WHEN has_table_privilege(t.tgrelid, 'SELECT') IS NOT NULL AND t.tgrelid <> ALL (%(locked)s::oid[])
            THEN pg_get_triggerdef(t.oid) END AS definition,
       fn.nspname AS function_schema,
       f.proname AS function,
       t.tgenabled::text AS enabled,
       t.tgtype AS type,
       t.tgattr::int[] AS positions,
       t.tgargs AS arguments,
       l.lanname AS language,
       f.prosrc AS body,
       t.tgparentid <> 0 AS inherited,
       comment.description AS comment
  FROM pg_trigger t
  JOIN pg_proc f ON f.oid = t.tgfoid
  JOIN pg_namespace fn ON fn.oid = f.pronamespace
  JOIN pg_language l ON l.oid = f.prolang
  LEFT JOIN pg_description comment
         ON comment.classoid = 'pg_trigger'::regclass AND comment.objoid = t.oid AND comment.objsubid = 0
 WHERE t.tgrelid = ANY (%(relations)s::oid[])
   AND (NOT t.tgisinternal OR (t.tgparentid <> 0 AND t.tgconstraint = 0))
