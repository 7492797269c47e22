-- One text that is another one after any change of the schema: a change of a row of the catalog gives it a new xmin.
-- It may be another one without such a change too. Rows below 16384 are PostgreSQL's own; temporary tables are left out.
WITH relation AS (
    SELECT oid, xmin FROM pg_class WHERE oid >= 16384 AND relpersistence <> 't'
), row_version (xmin) AS (
    SELECT xmin FROM relation
    UNION ALL SELECT xmin FROM pg_namespace WHERE nspname !~ '^pg_(toast_)?temp_'
    UNION ALL SELECT a.xmin FROM pg_attribute a JOIN relation r ON r.oid = a.attrelid
    UNION ALL SELECT d.xmin FROM pg_attrdef d JOIN relation r ON r.oid = d.adrelid
    UNION ALL SELECT i.xmin FROM pg_index i JOIN relation r ON r.oid = i.indexrelid
    UNION ALL SELECT t.xmin FROM pg_trigger t JOIN relation r ON r.oid = t.tgrelid
    UNION ALL SELECT p.xmin FROM pg_policy p JOIN relation r ON r.oid = p.polrelid
    UNION ALL SELECT w.xmin FROM pg_rewrite w JOIN relation r ON r.oid = w.ev_class
    UNION ALL SELECT h.xmin FROM pg_inherits h JOIN relation r ON r.oid = h.inhrelid
    UNION ALL SELECT s.xmin FROM pg_sequence s JOIN relation r ON r.oid = s.seqrelid
    UNION ALL SELECT e.xmin FROM pg_statistic_ext e JOIN relation r ON r.oid = e.stxrelid
    UNION ALL SELECT c.xmin FROM pg_constraint c
               WHERE c.oid >= 16384 AND (c.conrelid = 0 OR c.conrelid IN (SELECT oid FROM relation))
    UNION ALL SELECT xmin FROM pg_type WHERE oid >= 16384 AND typrelid = 0 AND typelem = 0
    UNION ALL SELECT xmin FROM pg_enum
    UNION ALL SELECT xmin FROM pg_range WHERE rngtypid >= 16384
    UNION ALL SELECT xmin FROM pg_proc WHERE oid >= 16384
    UNION ALL SELECT xmin FROM pg_description WHERE objoid >= 16384
    UNION ALL SELECT xmin FROM pg_extension
    UNION ALL SELECT xmin FROM pg_publication
    UNION ALL SELECT xmin FROM pg_publication_rel
)
SELECT pg_catalog.concat_ws(' ', pg_catalog.current_setting('server_version_num'), pg_catalog.count(*),
                            pg_catalog.sum(pg_catalog.hashtextextended(xmin::text, 0)))
  FROM row_version
