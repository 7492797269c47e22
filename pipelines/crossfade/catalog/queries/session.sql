-- For this transaction: names printed qualified, as pg_dump does; no queueing behind exclusive locks; and no
-- compiling of queries that run for milliseconds but look dear where the catalog is large.
SELECT pg_catalog.set_config('search_path', '', true) AS search_path,
       pg_catalog.set_config('lock_timeout', %(lock_timeout)s, true) AS lock_timeout,
       pg_catalog.set_config('jit', 'off', true) AS jit
