-- Tables, partitioned and foreign tables, views and materialized views.
SELECT c.oid,
       n.nspname AS schema,
       c.relname AS name,
       c.relkind::text AS kind,
       pg_get_userbyid(c.relowner) AS owner,
       c.relrowsecurity AS row_security,
       c.relforcerowsecurity AS force_row_security,
       coalesce(c.relacl, acldefault('r', c.relowner))::text[] AS grants,
       c.relreplident::text AS replica_identity,
       coalesce(c.reloptions, '{}')
           || ARRAY(SELECT 'toast.' || o FROM unnest(toast.reloptions) AS o) AS options,
       CASE WHEN c.relkind = 'p' AND has_table_privilege(c.oid, 'SELECT') IS NOT NULL AND c.oid <> ALL (%(locked)s::oid[])
            THEN pg_get_partkeydef(c.oid) END AS partition_key,
       CASE WHEN c.relispartition AND has_table_privilege(c.oid, 'SELECT') IS NOT NULL AND c.oid <> ALL (%(locked)s::oid[])
            THEN pg_get_expr(c.relpartbound, c.oid) END AS partition_bound,
       c.relispartition AS is_partition,
       coalesce(parents.schemas, '{}') AS parent_schemas,
       coalesce(parents.names, '{}') AS parent_names,
       comment.description AS comment,
       CASE WHEN c.relkind IN ('r', 'm') AND c.oid <> ALL (%(locked)s::oid[]) THEN pg_relation_size(c.oid) ELSE 0 END AS heap_size,
       CASE WHEN c.reltoastrelid <> 0 AND c.reltoastrelid <> ALL (%(locked)s::oid[])
            THEN pg_relation_size(c.reltoastrelid) ELSE 0 END AS toast_size,
       c.reltuples::bigint AS rows,
       c.relpersistence = 'u' AS unlogged,
       space.spcname AS tablespace,
       method.amname AS access_method,
       extension.extname AS extension,
       c.relispopulated AS populated,
       CASE WHEN c.relkind IN ('v', 'm') AND c.oid = ANY (%(locked)s::oid[]) THEN ''
            WHEN c.relkind IN ('v', 'm') AND has_table_privilege(c.oid, 'SELECT') IS NOT NULL
            THEN pg_get_viewdef(c.oid) END AS definition
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_class toast ON toast.oid = c.reltoastrelid
  LEFT JOIN pg_tablespace space ON space.oid = c.reltablespace
  LEFT JOIN pg_am method ON method.oid = c.relam
  LEFT JOIN pg_description comment
         ON comment.classoid = 'pg_class'::regclass AND comment.objoid = c.oid AND comment.objsubid = 0
  LEFT JOIN pg_depend member
         ON member.classid = 'pg_class'::regclass AND member.objid = c.oid AND member.deptype = 'e'
  LEFT JOIN pg_extension extension ON extension.oid = member.refobjid
  LEFT JOIN (
       SELECT i.inhrelid,
              array_agg(pn.nspname::text ORDER BY i.inhseqno) AS schemas,
              array_agg(p.relname::text ORDER BY i.inhseqno) AS names
         FROM pg_inherits i
         JOIN pg_class p ON p.oid = i.inhparent
         JOIN pg_namespace pn ON pn.oid = p.relnamespace
        GROUP BY i.inhrelid
       ) parents ON parents.inhrelid = c.oid
 WHERE c.oid = ANY (%(relations)s::oid[])
