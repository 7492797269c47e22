-- Enums, domains, free-standing row types and ranges; not the row types of tables, nor the arrays of all these.
SELECT n.nspname AS schema,
       t.typname AS name,
       t.typtype::text AS kind,
       ARRAY(SELECT e.enumlabel::text
               FROM pg_enum e WHERE e.enumtypid = t.oid ORDER BY e.enumsortorder) AS labels,
       CASE WHEN t.typtype = 'd' THEN format_type(t.typbasetype, t.typtypmod) END AS base,
       t.typnotnull AS not_null,
       coalesce(pg_get_expr(t.typdefaultbin, 0), t.typdefault) AS "default",
       ln.nspname AS collation_schema,
       l.collname AS collation_name,
       ARRAY(SELECT k.conname::text
               FROM pg_constraint k WHERE k.contypid = t.oid ORDER BY k.conname) AS rule_names,
       ARRAY(SELECT pg_get_constraintdef(k.oid)
               FROM pg_constraint k WHERE k.contypid = t.oid ORDER BY k.conname) AS rules,
       ARRAY(SELECT obj_description(k.oid, 'pg_constraint')
               FROM pg_constraint k WHERE k.contypid = t.oid ORDER BY k.conname) AS rule_comments,
       ARRAY(SELECT quote_ident(a.attname) || ' ' || format_type(a.atttypid, a.atttypmod)
               FROM pg_attribute a
              WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped
              ORDER BY a.attnum) AS attributes,
       pg_get_userbyid(t.typowner) AS owner,
       coalesce(t.typacl, acldefault('T', t.typowner))::text[] AS grants,
       comment.description AS comment
  FROM pg_type t
  JOIN pg_namespace n ON n.oid = t.typnamespace
  LEFT JOIN pg_class c ON c.oid = t.typrelid
  LEFT JOIN pg_type base ON base.oid = t.typbasetype
  LEFT JOIN pg_collation l ON l.oid = t.typcollation AND t.typcollation <> base.typcollation
  LEFT JOIN pg_namespace ln ON ln.oid = l.collnamespace
  LEFT JOIN pg_description comment
         ON comment.classoid = 'pg_type'::regclass AND comment.objoid = t.oid AND comment.objsubid = 0
 WHERE t.typnamespace = ANY (%(namespaces)s::oid[])
   AND (t.typtype IN ('e', 'd', 'r', 'm') OR (t.typtype = 'c' AND c.relkind = 'c'))
