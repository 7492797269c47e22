-- Rules a person made; the one that is a view's query is its definition.
SELECT r.ev_class AS relation,
       r.rulename AS name,
       CASE WHEN has_table_privilege(r.ev_class, 'SELECT') IS NOT NULL AND r.ev_class <> ALL (%(locked)s::oid[])
            THEN pg_get_ruledef(r.oid) END AS definition,
       r.ev_enabled::text AS enabled,
       comment.description AS comment
  FROM pg_rewrite r
  LEFT JOIN pg_description comment
         ON comment.classoid = 'pg_rewrite'::regclass AND comment.objoid = r.oid AND comment.objsubid = 0
 WHERE r.ev_class = ANY (%(relations)s::oid[]) AND r.rulename <> '_RETURN'
