-- The columns of the tables and views read, and of their neighbours, so that foreign keys can name them.
-- PostgreSQL 18 sets attnotnull for a NOT NULL constraint that is NOT VALID too.
-- In PostgreSQL 14 it is the generated column that depends on what it reads, in later ones its expression.
SELECT a.attrelid AS relation,
       a.attname AS name,
       a.attnum AS position,
       format_type(a.atttypid, a.atttypmod) AS type,
       tn.nspname AS type_schema,
       t.typname AS type_name,
       a.attnotnull AND (a.attrelid, a.attnum) NOT IN (
           SELECT k.conrelid, k.conkey[1]
             FROM pg_constraint k
            WHERE k.contype = 'n' AND NOT k.convalidated AND k.conrelid <> 0
       ) AS not_null,
       CASE WHEN has_table_privilege(d.adrelid, 'SELECT') IS NOT NULL AND d.adrelid <> ALL (%(locked)s::oid[])
            THEN pg_get_expr(d.adbin, d.adrelid) END AS "default",
       nullif(a.attidentity, '')::text AS identity,
       nullif(a.attgenerated, '')::text AS generated,
       CASE WHEN a.attgenerated <> '' THEN
            ARRAY(SELECT r.refobjsubid
                    FROM pg_depend r
                   WHERE r.refclassid = 'pg_class'::regclass AND r.refobjid = a.attrelid
                     AND r.refobjsubid > 0 AND r.refobjsubid <> a.attnum
                     AND (r.classid, r.objid, r.objsubid) IN
                         (('pg_attrdef'::regclass, d.oid, 0), ('pg_class'::regclass, a.attrelid, a.attnum)))
       END AS reads,
       ln.nspname AS collation_schema,
       l.collname AS collation_name,
       comment.description AS comment,
       a.attacl::text[] AS grants,
       nullif(a.attstorage, t.typstorage)::text AS storage,
       nullif(a.attstattarget, -1)::int AS statistics_target,
       nullif(a.attcompression, '')::text AS compression,
       a.attoptions AS options
  FROM pg_attribute a
  JOIN pg_type t ON t.oid = a.atttypid
  JOIN pg_namespace tn ON tn.oid = t.typnamespace
  LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
  LEFT JOIN pg_collation l ON l.oid = a.attcollation AND a.attcollation <> t.typcollation
  LEFT JOIN pg_namespace ln ON ln.oid = l.collnamespace
  LEFT JOIN pg_description comment
         ON comment.classoid = 'pg_class'::regclass AND comment.objoid = a.attrelid
        AND comment.objsubid = a.attnum
 WHERE a.attrelid = ANY (%(relations)s::oid[] || %(neighbours)s::oid[]) AND a.attnum > 0 AND NOT a.attisdropped
