-- Extended statistics of the tables read.
SELECT s.stxrelid AS relation,
       n.nspname AS schema,
       s.stxname AS name,
       CASE WHEN has_table_privilege(s.stxrelid, 'SELECT') IS NOT NULL AND s.stxrelid <> ALL (%(locked)s::oid[])
            THEN pg_get_statisticsobjdef(s.oid) END AS definition,
       CASE WHEN has_table_privilege(s.stxrelid, 'SELECT') IS NOT NULL AND s.stxrelid <> ALL (%(locked)s::oid[])
            THEN pg_get_statisticsobjdef_expressions(s.oid) END AS expressions,
       pg_get_userbyid(s.stxowner) AS owner,
       s.stxstattarget AS target,
       comment.description AS comment
  FROM pg_statistic_ext s
  JOIN pg_namespace n ON n.oid = s.stxnamespace
  LEFT JOIN pg_description comment
         ON comment.classoid = 'pg_statistic_ext'::regclass AND comment.objoid = s.oid AND comment.objsubid = 0
 WHERE s.stxrelid = ANY (%(relations)s::oid[])
