-- Constraints of the tables read, and foreign keys of other tables to them.
-- A foreign key to a partitioned table has a further row for each partition of the parent. Those are
-- PostgreSQL's own bookkeeping, told by an origin in the same table or one that points to another parent.
SELECT k.conrelid AS relation,
       k.confrelid AS referenced,
       k.conname AS name,
       k.contype::text AS kind,
       k.conkey::int[] AS positions,
       k.confkey::int[] AS referenced_positions,
       CASE WHEN has_table_privilege(k.conrelid, 'SELECT') IS NOT NULL
             AND (k.contype NOT IN ('c', 'x') OR k.conrelid <> ALL (%(locked)s::oid[]))
             AND (k.confrelid = 0 OR has_table_privilege(k.confrelid, 'SELECT') IS NOT NULL)
            THEN pg_get_constraintdef(k.oid) END AS definition,
       k.convalidated AS validated,
       k.condeferrable AS deferrable,
       k.coninhcount > 0 AS inherited,
       CASE WHEN k.contype IN ('p', 'u', 'x') THEN i.relname END AS index,
       cn.nspname AS schema,
       child.relname AS child,
       pn.nspname AS parent_schema,
       parent.relname AS parent,
       comment.description AS comment,
       CASE WHEN k.contype = 'p' THEN
            ARRAY(SELECT DISTINCT coalesce(format('view %%s.%%s', vn.nspname, v.relname),
                                           pg_describe_object(d.classid, d.objid, 0))
                    FROM pg_depend d
                    LEFT JOIN pg_rewrite w ON d.classid = 'pg_rewrite'::regclass AND w.oid = d.objid
                    LEFT JOIN pg_class v ON v.oid = w.ev_class
                    LEFT JOIN pg_namespace vn ON vn.oid = v.relnamespace
                   WHERE d.refclassid = 'pg_constraint'::regclass AND d.refobjid = k.oid AND d.deptype = 'n')
       END AS needed_by
  FROM pg_constraint k
  JOIN pg_class child ON child.oid = k.conrelid
  JOIN pg_namespace cn ON cn.oid = child.relnamespace
  LEFT JOIN pg_class i ON i.oid = k.conindid
  LEFT JOIN pg_class parent ON parent.oid = k.confrelid
  LEFT JOIN pg_namespace pn ON pn.oid = parent.relnamespace
  LEFT JOIN pg_constraint origin ON origin.oid = k.conparentid
  LEFT JOIN pg_description comment
         ON comment.classoid = 'pg_constraint'::regclass AND comment.objoid = k.oid AND comment.objsubid = 0
 WHERE (k.conrelid = ANY (%(relations)s::oid[]) OR k.confrelid = ANY (%(relations)s::oid[]))
   AND (k.contype <> 'f' OR origin.oid IS NULL
        OR (origin.conrelid <> k.conrelid AND origin.confrelid = k.confrelid))
