-- Functions and procedures somebody wrote: in the schemas read with their definition, in all others for what
-- their text mentions. Not those of extensions or of range types, nor ours; and not aggregates, which have no
-- definition that PostgreSQL would print.
SELECT n.nspname AS schema,
       f.proname AS name,
       oidvectortypes(f.proargtypes) AS arguments,
       l.lanname AS language,
       CASE WHEN f.pronamespace = ANY (%(namespaces)s::oid[])
            THEN CASE WHEN EXISTS (SELECT FROM pg_depend d  -- its body in standard SQL is printed from what it reads
                                    WHERE d.classid = 'pg_proc'::regclass AND d.objid = f.oid
                                      AND d.refclassid = 'pg_class'::regclass
                                      AND d.refobjid = ANY (%(locked)s::oid[])) THEN ''
                      ELSE pg_get_functiondef(f.oid) END END AS definition,
       f.prosrc AS body,
       pg_get_userbyid(f.proowner) AS owner,
       coalesce(f.proacl, acldefault('f', f.proowner))::text[] AS grants,
       comment.description AS comment
  FROM pg_proc f
  JOIN pg_namespace n ON n.oid = f.pronamespace
  JOIN pg_language l ON l.oid = f.prolang
  LEFT JOIN pg_description comment
         ON comment.classoid = 'pg_proc'::regclass AND comment.objoid = f.oid AND comment.objsubid = 0
 WHERE f.prokind <> 'a'
   AND (f.pronamespace = ANY (%(namespaces)s::oid[])
        OR (n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'crossfade')))
   AND NOT EXISTS (SELECT FROM pg_depend d
                    WHERE d.classid = 'pg_proc'::regclass AND d.objid = f.oid AND d.deptype IN ('e', 'i'))
