-- As a role that may create in the schema: whatever is called or compared without saying whose it is, this is a
-- better match for, wherever pg_catalog has no exact one. Each says so when it is run.
SET search_path TO pg_catalog;
DO $attack$
DECLARE
  types text[] := '{text,varchar,name,oid,regclass,regnamespace,jsonb,tid,bigint,integer,smallint,"char",timestamptz,
                    interval,boolean,xid,pg_lsn,text[],name[],oid[]}';
  l text; r text; o text; f text; number int := 0;
BEGIN
  FOREACH l IN ARRAY types LOOP
    FOREACH r IN ARRAY types LOOP
      number := number + 1;
      EXECUTE format('CREATE FUNCTION public.shadow_%s(%s, %s) RETURNS boolean LANGUAGE plpgsql AS %L',
                     number, l, r, format('BEGIN RAISE EXCEPTION %L; END', 'shadowed an operator of ' || l || ' and ' || r));
      FOREACH o IN ARRAY '{=,<>,<,>,<=,>=,||,->,->>,#>>,-,+,/,*,~~,!~~,~,*=,*<>}'::text[] LOOP
        IF NOT EXISTS (SELECT FROM pg_operator WHERE oprname = o AND oprleft = l::regtype AND oprright = r::regtype) THEN
          EXECUTE format('CREATE OPERATOR public.%s (FUNCTION = public.shadow_%s, LEFTARG = %s, RIGHTARG = %s)',
                         o, number, l, r);
        END IF;
      END LOOP;
      FOREACH f IN ARRAY '{jsonb_build_object,left,string_agg,concat_ws,concat,to_char,format,num_nonnulls,set_config,
                          unnest}'::text[] LOOP
        IF to_regprocedure(format('pg_catalog.%I(%s, %s)', f, l, r)) IS NULL THEN
          EXECUTE format('CREATE FUNCTION public.%I(%s, %s) RETURNS text LANGUAGE plpgsql AS %L',
                         f, l, r, format('BEGIN RAISE EXCEPTION %L; END', 'shadowed ' || f));
        END IF;
      END LOOP;
    END LOOP;
    FOR f IN SELECT DISTINCT proname FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace AND proname IN (
        'count', 'max', 'min', 'sum', 'array_agg', 'bool_and', 'to_jsonb', 'pg_typeof', 'unnest', 'num_nonnulls',
        'jsonb_build_object', 'jsonb_strip_nulls', 'pg_relation_filenode', 'pg_relation_size', 'pg_partition_tree',
        'current_setting', 'pg_blocking_pids', 'pg_terminate_backend', 'to_regclass', 'to_regnamespace', 'sha256',
        'pg_advisory_xact_lock', 'pg_total_relation_size', 'jsonb_array_elements', 'concat') LOOP
      IF to_regprocedure(format('pg_catalog.%I(%s)', f, l)) IS NULL THEN
        EXECUTE format('CREATE FUNCTION public.%I(%s) RETURNS text LANGUAGE plpgsql AS %L',
                       f, l, format('BEGIN RAISE EXCEPTION %L; END', 'shadowed ' || f));
      END IF;
    END LOOP;
  END LOOP;
END $attack$;
