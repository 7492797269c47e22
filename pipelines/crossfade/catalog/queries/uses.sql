-- What depends on the types (or arrays of them) and the sequences read: columns, defaults, views, functions and others.
SELECT used.schema,
       used.name,
       used.is_type,
       found.type AS kind,
       found.identity AS "user",
       address.object_names AS path
  FROM (SELECT n.nspname AS schema, t.typname AS name, true AS is_type,
               'pg_type'::regclass AS class, unnest(ARRAY[t.oid, t.typarray]) AS oid
          FROM pg_type t
          JOIN pg_namespace n ON n.oid = t.typnamespace
          LEFT JOIN pg_class c ON c.oid = t.typrelid
         WHERE t.typnamespace = ANY (%(namespaces)s::oid[])
           AND (t.typtype IN ('e', 'd', 'r', 'm') OR (t.typtype = 'c' AND c.relkind = 'c'))
         UNION ALL
        SELECT n.nspname, c.relname, false, 'pg_class'::regclass, c.oid
          FROM pg_class c
          JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE c.relnamespace = ANY (%(namespaces)s::oid[]) AND c.relkind = 'S' AND c.relpersistence <> 't') used
  JOIN pg_depend d ON d.refclassid = used.class AND d.refobjid = used.oid AND d.deptype = 'n'
 CROSS JOIN LATERAL pg_identify_object(d.classid, d.objid, d.objsubid) found
 CROSS JOIN LATERAL pg_identify_object_as_address(d.classid, d.objid, d.objsubid) address
 -- What was dropped since the snapshot has no name any more.
 WHERE found.identity IS NOT NULL AND address.object_names IS NOT NULL
 GROUP BY 1, 2, 3, 4, 5, 6
