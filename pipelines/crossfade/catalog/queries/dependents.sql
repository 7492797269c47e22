-- What depends on the relations read, on a view over them, on a view over that, and so on: one row for each
-- (relation, dependent), with the positions of the columns named (0 = the relation as a whole).
-- `through` is the view's oid where the dependent is one; of_schema and of_name: the relation that has the policy, rule or
-- trigger, or the view itself.
WITH RECURSIVE relation (oid) AS (
    SELECT unnest(%(relations)s::oid[])
     UNION
    SELECT r.ev_class
      FROM relation b
      JOIN pg_depend d
        ON d.refclassid = 'pg_class'::regclass AND d.refobjid = b.oid AND d.classid = 'pg_rewrite'::regclass
      JOIN pg_rewrite r ON r.oid = d.objid AND r.rulename = '_RETURN'
), edge AS MATERIALIZED (
    SELECT d.classid, d.objid, d.objsubid, d.refobjid AS relation, d.refobjsubid AS position
      FROM pg_depend d
     WHERE d.refclassid = 'pg_class'::regclass
       AND d.refobjid IN (SELECT oid FROM relation)
       AND d.refobjsubid >= 0
       AND d.classid IN ('pg_rewrite'::regclass, 'pg_policy'::regclass, 'pg_statistic_ext'::regclass,
                         'pg_proc'::regclass, 'pg_trigger'::regclass)
), row_type_edge AS MATERIALIZED (
    SELECT d.classid, d.objid, d.objsubid, t.relation
      FROM (SELECT own.typrelid AS relation, unnest(ARRAY[own.oid, own.typarray]) AS type
              FROM pg_type own
             WHERE own.typrelid IN (SELECT oid FROM relation)) t
      JOIN pg_depend d ON d.refclassid = 'pg_type'::regclass AND d.refobjid = t.type
     WHERE d.classid IN ('pg_class'::regclass, 'pg_proc'::regclass)
)
SELECT e.relation,
       CASE WHEN r.rulename = '_RETURN' THEN r.ev_class END AS through,
       CASE WHEN r.rulename <> '_RETURN' THEN 'rule'
            WHEN c.relkind = 'm' THEN 'materialized view' ELSE 'view' END AS kind,
       CASE WHEN r.rulename <> '_RETURN' THEN r.rulename || ' on ' ELSE '' END || n.nspname || '.' || c.relname
           AS name,
       CASE WHEN r.rulename <> '_RETURN' AND has_table_privilege(r.ev_class, 'SELECT') IS NOT NULL AND r.ev_class <> ALL (%(locked)s::oid[])
            THEN pg_get_ruledef(r.oid) END AS definition,
       array_agg(e.position) AS positions,
       n.nspname AS of_schema,
       c.relname AS of_name
  FROM edge e
  JOIN pg_rewrite r ON e.classid = 'pg_rewrite'::regclass AND r.oid = e.objid
  JOIN pg_class c ON c.oid = r.ev_class
  JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE r.rulename <> '_RETURN' OR r.ev_class <> e.relation
 GROUP BY e.relation, r.oid, r.rulename, r.ev_class, c.relkind, n.nspname, c.relname

 UNION ALL
SELECT e.relation, NULL, 'policy', p.polname || ' on ' || n.nspname || '.' || c.relname, NULL,
       array_agg(e.position), n.nspname, c.relname
  FROM edge e
  JOIN pg_policy p ON e.classid = 'pg_policy'::regclass AND p.oid = e.objid
  JOIN pg_class c ON c.oid = p.polrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
 GROUP BY e.relation, p.polrelid, p.polname, n.nspname, c.relname
HAVING p.polrelid <> e.relation OR max(e.position) > 0

 UNION ALL
SELECT e.relation, NULL, 'statistics', n.nspname || '.' || s.stxname, CASE WHEN e.relation <> ALL (%(locked)s::oid[]) THEN pg_get_statisticsobjdef(s.oid) END,
       array_agg(e.position), NULL, NULL
  FROM edge e
  JOIN pg_statistic_ext s ON e.classid = 'pg_statistic_ext'::regclass AND s.oid = e.objid
  JOIN pg_namespace n ON n.oid = s.stxnamespace
 GROUP BY e.relation, s.oid, s.stxname, n.nspname

 UNION ALL
SELECT e.relation, NULL, 'trigger', t.tgname || ' on ' || n.nspname || '.' || c.relname, NULL,
       array_agg(e.position), n.nspname, c.relname
  FROM edge e
  JOIN pg_trigger t ON e.classid = 'pg_trigger'::regclass AND t.oid = e.objid
  JOIN pg_class c ON c.oid = t.tgrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE t.tgrelid = e.relation AND e.position > 0
   AND (NOT t.tgisinternal OR (t.tgparentid <> 0 AND t.tgconstraint = 0))
   AND NOT starts_with(t.tgname, '_cf_') -- of a migration, which is told by itself
 GROUP BY e.relation, t.tgname, n.nspname, c.relname

 UNION ALL -- a function reads columns in a SQL-standard body, or names the row type of the table
SELECT e.relation, NULL, 'function',
       n.nspname || '.' || f.proname || '(' || oidvectortypes(f.proargtypes) || ')', NULL, array_agg(e.position),
       NULL, NULL
  FROM (SELECT relation, objid, position FROM edge WHERE classid = 'pg_proc'::regclass
         UNION ALL
        SELECT relation, objid, 0 FROM row_type_edge WHERE classid = 'pg_proc'::regclass) e
  JOIN pg_proc f ON f.oid = e.objid
  JOIN pg_namespace n ON n.oid = f.pronamespace
 GROUP BY e.relation, f.proname, f.proargtypes, n.nspname

 UNION ALL -- a column of another table that has the row type of this one
SELECT e.relation, NULL, 'column', n.nspname || '.' || c.relname || '.' || a.attname, NULL, ARRAY[0],
       NULL, NULL
  FROM row_type_edge e
  JOIN pg_class c ON e.classid = 'pg_class'::regclass AND c.oid = e.objid AND c.relkind IN ('r', 'p', 'f', 'm')
  JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = e.objsubid
