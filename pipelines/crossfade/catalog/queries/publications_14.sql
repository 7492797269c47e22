-- Publications that carry the tables read: by name, or all tables there are.
SELECT c.oid AS relation,
       p.pubname AS name,
       '{}'::int[] AS positions,
       CASE WHEN p.puballtables THEN 'all tables' ELSE 'table' END AS scope,
       NULL::int[] AS listed,
       p.pubupdate AS updates,
       p.pubviaroot AS via_root,
       CASE WHEN p.puballtables THEN 'FOR ALL TABLES' ELSE 'FOR TABLE' END AS definition
  FROM pg_class c
  JOIN pg_publication p
    ON p.puballtables OR EXISTS (SELECT FROM pg_publication_rel m WHERE m.prpubid = p.oid AND m.prrelid = c.oid)
 WHERE c.oid = ANY (%(relations)s::oid[]) AND c.relkind IN ('r', 'p') AND c.relpersistence = 'p'
