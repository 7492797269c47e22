-- Sequences, with the column a serial or identity one belongs to.
SELECT n.nspname AS schema,
       c.relname AS name,
       format_type(s.seqtypid, NULL) AS type,
       s.seqincrement AS increment,
       s.seqmax AS maximum,
       s.seqmin AS minimum,
       s.seqstart AS start,
       s.seqcache AS cache,
       s.seqcycle AS cycle,
       pg_get_userbyid(c.relowner) AS owner,
       coalesce(c.relacl, acldefault('s', c.relowner))::text[] AS grants,
       tn.nspname AS table_schema,
       t.relname AS "table",
       a.attname AS "column",
       comment.description AS comment
  FROM pg_sequence s
  JOIN pg_class c ON c.oid = s.seqrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_depend d
         ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype IN ('a', 'i')
        AND d.refclassid = 'pg_class'::regclass AND d.refobjsubid > 0
  LEFT JOIN pg_class t ON t.oid = d.refobjid
  LEFT JOIN pg_namespace tn ON tn.oid = t.relnamespace
  LEFT JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
  LEFT JOIN pg_description comment
         ON comment.classoid = 'pg_class'::regclass AND comment.objoid = c.oid AND comment.objsubid = 0
 WHERE c.relnamespace = ANY (%(namespaces)s::oid[]) AND c.relpersistence <> 't'
