-- The names of volatile functions, built-in ones among them, that a default could call.
SELECT DISTINCT n.nspname AS schema, f.proname AS name
  FROM pg_proc f
  JOIN pg_namespace n ON n.oid = f.pronamespace
 WHERE f.provolatile = 'v' AND f.prorettype <> 'trigger'::regtype
