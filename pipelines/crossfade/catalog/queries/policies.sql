-- Row security policies with the columns of their own table that they read.
SELECT p.polrelid AS relation,
       p.polname AS name,
       p.polcmd::text AS command,
       p.polpermissive AS permissive,
       ARRAY(SELECT CASE WHEN r = 0 THEN 'public' ELSE pg_get_userbyid(r) END
               FROM unnest(p.polroles) AS r ORDER BY 1) AS roles,
       CASE WHEN has_table_privilege(p.polrelid, 'SELECT') IS NOT NULL AND p.polrelid <> ALL (%(locked)s::oid[])
            THEN pg_get_expr(p.polqual, p.polrelid) END AS using,
       CASE WHEN has_table_privilege(p.polrelid, 'SELECT') IS NOT NULL AND p.polrelid <> ALL (%(locked)s::oid[])
            THEN pg_get_expr(p.polwithcheck, p.polrelid) END AS "check",
       ARRAY(SELECT d.refobjsubid
               FROM pg_depend d
              WHERE d.classid = 'pg_policy'::regclass AND d.objid = p.oid
                AND d.refclassid = 'pg_class'::regclass AND d.refobjid = p.polrelid AND d.refobjsubid > 0
            ) AS reads,
       comment.description AS comment
  FROM pg_policy p
  LEFT JOIN pg_description comment
         ON comment.classoid = 'pg_policy'::regclass AND comment.objoid = p.oid AND comment.objsubid = 0
 WHERE p.polrelid = ANY (%(relations)s::oid[])
