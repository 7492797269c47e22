-- Publications that carry the tables read: by name, by schema, or all tables there are.
-- The columns are those of the column list and of the row filter.
SELECT c.oid AS relation,
       p.pubname AS name,
       coalesce(m.prattrs::int[], '{}')
           || ARRAY(SELECT d.refobjsubid
                      FROM pg_depend d
                     WHERE d.classid = 'pg_publication_rel'::regclass AND d.objid = m.oid
                       AND d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid AND d.refobjsubid > 0)
           AS positions,
       CASE WHEN p.puballtables THEN 'all tables' WHEN m.oid IS NULL THEN 'schema' ELSE 'table' END AS scope,
       m.prattrs::int[] AS listed,
       p.pubupdate AS updates,
       p.pubviaroot AS via_root,
       CASE WHEN p.puballtables THEN 'FOR ALL TABLES'
            WHEN m.oid IS NULL THEN 'FOR TABLES IN SCHEMA'
            ELSE 'FOR TABLE'
                 || coalesce(' (' || (SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum)
                                        FROM pg_attribute a
                                       WHERE a.attrelid = c.oid AND a.attnum = ANY (m.prattrs)) || ')', '')
                 || coalesce(' WHERE ' || CASE WHEN c.oid <> ALL (%(locked)s::oid[]) THEN pg_get_expr(m.prqual, c.oid) END, '')
       END AS definition
  FROM pg_class c
  CROSS JOIN pg_publication p
  LEFT JOIN pg_publication_rel m ON m.prpubid = p.oid AND m.prrelid = c.oid
 WHERE c.oid = ANY (%(relations)s::oid[]) AND c.relkind IN ('r', 'p') AND c.relpersistence = 'p'
   AND (p.puballtables OR m.oid IS NOT NULL
        OR EXISTS (SELECT FROM pg_publication_namespace s
                    WHERE s.pnpubid = p.oid AND s.pnnspid = c.relnamespace))
