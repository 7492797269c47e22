-- Indexes. `reads` is what expressions and the predicate read, beside the positions.
SELECT i.indrelid AS relation,
       c.oid,
       n.nspname AS schema,
       c.relname AS name,
       CASE WHEN has_table_privilege(i.indexrelid, 'SELECT') IS NOT NULL
             AND i.indexrelid <> ALL (%(locked)s::oid[]) AND i.indrelid <> ALL (%(locked)s::oid[])
            THEN pg_get_indexdef(i.indexrelid) END AS definition,
       method.amname AS method,
       i.indkey::int[] AS positions,
       i.indnkeyatts AS keys,
       CASE WHEN i.indexprs IS NOT NULL OR i.indpred IS NOT NULL THEN
            ARRAY(SELECT d.refobjsubid
                    FROM pg_depend d
                   WHERE d.classid = 'pg_class'::regclass AND d.objid = i.indexrelid
                     AND d.refclassid = 'pg_class'::regclass AND d.refobjid = i.indrelid AND d.refobjsubid > 0)
       END AS reads,
       i.indisunique AS "unique",
       i.indisprimary AS "primary",
       i.indisvalid AS valid,
       i.indisready AS ready,
       i.indisreplident AS replica_identity,
       i.indisclustered AS clustered,
       ARRAY(SELECT ARRAY[a.attnum, a.attstattarget]::int[]
               FROM pg_attribute a
              WHERE a.attrelid = i.indexrelid AND a.attstattarget >= 0 ORDER BY a.attnum) AS statistics,
       k.conname AS "constraint",
       CASE WHEN c.relkind = 'i' AND c.oid <> ALL (%(locked)s::oid[]) THEN pg_relation_size(c.oid) ELSE 0 END AS size,
       CASE WHEN has_table_privilege(i.indrelid, 'SELECT') IS NOT NULL AND i.indrelid <> ALL (%(locked)s::oid[])
            THEN pg_get_expr(i.indpred, i.indrelid) END AS predicate,
       pn.nspname AS parent_schema,
       parent.relname AS parent,
       comment.description AS comment
  FROM pg_index i
  JOIN pg_class c ON c.oid = i.indexrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_am method ON method.oid = c.relam
  LEFT JOIN pg_constraint k ON k.conindid = c.oid AND k.conrelid = i.indrelid AND k.contype IN ('p', 'u', 'x')
  LEFT JOIN pg_inherits attached ON attached.inhrelid = c.oid
  LEFT JOIN pg_class parent ON parent.oid = attached.inhparent
  LEFT JOIN pg_namespace pn ON pn.oid = parent.relnamespace
  LEFT JOIN pg_description comment
         ON comment.classoid = 'pg_class'::regclass AND comment.objoid = c.oid AND comment.objsubid = 0
 WHERE i.indrelid = ANY (%(relations)s::oid[])
