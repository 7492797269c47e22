-- The ledger: what this database has been through. The current version; upgrades/ brings an older one to the same.
--
-- Small tables, append-only events, no secrets and no row values but the keys of rows in conflict and what an
-- archive keeps. Written by crossfade only; safe to read with any tool.

-- Not IF NOT EXISTS, which wants CREATE on the database even where the schema is there, made for us by its owner.
DO $$ BEGIN
  IF to_regnamespace('crossfade') IS NULL THEN
    CREATE SCHEMA crossfade;
  END IF;
END $$;
COMMENT ON SCHEMA crossfade IS 'crossfade: the ledger of migrations of this database';
-- Sync triggers run as the application's role and note conflicts through a function below.
GRANT USAGE ON SCHEMA crossfade TO PUBLIC;

-- What time it is, for all that counts in days and for every moment that is kept here: soaks, windows, archives, events.
-- One function, so that tests may live through a year; it belongs to who owns the ledger, and nothing we run replaces
-- it. Leases and time limits, which are about who works now, ask clock_timestamp().
CREATE FUNCTION crossfade.clock() RETURNS timestamptz
LANGUAGE sql VOLATILE AS 'SELECT pg_catalog.clock_timestamp()';

CREATE TABLE crossfade.version (
  version integer PRIMARY KEY,
  installed_at timestamptz NOT NULL DEFAULT crossfade.clock()
);

-- One row a migration. The plan is frozen when it starts; the epoch fences runners that lost their lease.
CREATE TABLE crossfade.migration (
  id text PRIMARY KEY,
  title text NOT NULL,
  owner text,
  spec_text text NOT NULL,
  spec_digest text NOT NULL,
  plan jsonb NOT NULL,
  plan_digest text NOT NULL,
  state text NOT NULL DEFAULT 'running'
    CHECK (state IN ('running', 'complete', 'undoing', 'undone')),
  epoch bigint NOT NULL DEFAULT 0,
  holder text,
  lease_until timestamptz,
  paused_at timestamptz,
  paused_by text,
  undo_to text,  -- state undoing: the leg that shall stay, NULL: none; running: taken back to it, and not gone on since
  problem text,
  started_at timestamptz NOT NULL DEFAULT crossfade.clock(),
  finished_at timestamptz
);

-- One row a phase or contract stage. finished: its steps are done here; passed: the gates after it held.
CREATE TABLE crossfade.leg (
  migration text NOT NULL REFERENCES crossfade.migration,
  leg text NOT NULL,
  started_at timestamptz NOT NULL DEFAULT crossfade.clock(),
  finished_at timestamptz,
  passed_at timestamptz,
  PRIMARY KEY (migration, leg)
);

CREATE TABLE crossfade.step (
  migration text NOT NULL REFERENCES crossfade.migration,
  id text NOT NULL,
  leg text NOT NULL,
  state text NOT NULL CHECK (state IN ('running', 'done', 'undone')),
  attempts integer NOT NULL DEFAULT 1,
  started_at timestamptz NOT NULL DEFAULT crossfade.clock(),
  finished_at timestamptz,
  rows bigint NOT NULL DEFAULT 0,
  detail jsonb NOT NULL DEFAULT '{}',
  PRIMARY KEY (migration, id)
);

-- One row a unit of a walk: a range of blocks of one leaf table. next_block is committed with the batch.
CREATE TABLE crossfade.progress (
  migration text NOT NULL,
  step text NOT NULL,
  unit integer NOT NULL,
  leaf_schema text NOT NULL,
  leaf text NOT NULL,
  filenode bigint NOT NULL,
  first_block bigint NOT NULL,
  next_block bigint NOT NULL,
  end_block bigint NOT NULL,
  rows bigint NOT NULL DEFAULT 0,
  batches integer NOT NULL DEFAULT 0,
  PRIMARY KEY (migration, step, unit)
) WITH (fillfactor = 50);

CREATE TABLE crossfade.conflict (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  migration text NOT NULL,
  relation text NOT NULL,
  key jsonb,
  sqlstate text NOT NULL,
  seen_at timestamptz NOT NULL DEFAULT crossfade.clock(),
  resolved_at timestamptz,
  UNIQUE (migration, relation, key)
);
CREATE INDEX conflict_open ON crossfade.conflict (migration, relation, key) WHERE resolved_at IS NULL;

-- The latest answer of each gate; every change of answer is an event too.
CREATE TABLE crossfade.gate (
  migration text NOT NULL REFERENCES crossfade.migration,
  point text NOT NULL,
  gate text NOT NULL,
  state text NOT NULL CHECK (state IN ('holds', 'waits', 'never')),
  reason text NOT NULL,
  holds_at timestamptz,
  evidence jsonb NOT NULL DEFAULT '{}',
  since timestamptz NOT NULL DEFAULT crossfade.clock(),
  checked_at timestamptz NOT NULL DEFAULT crossfade.clock(),
  PRIMARY KEY (migration, point, gate)
);

-- Who: the role that authenticated, not a name somebody typed. roles: those it was a member of then, as evidence;
-- whether it belongs to a team is asked anew whenever a gate is asked. event: what tells of it in the chain, written by
-- the engine before it asks a gate: an approver's transaction, which may stay open for long, must not hold the chain.
-- point, gate: of an override, the one gate that it opens; NULL: it is for the gates that ask for approval.
-- token: of an OIDC issuer, here until the engine has read it; then issuer, identity and groups are what it said, or
-- refused why it did not count. signed_input: the hash of what the issuer signed, so that a token approves once.
CREATE TABLE crossfade.approval (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  migration text NOT NULL,
  team text,
  role text NOT NULL DEFAULT session_user,
  roles text[] NOT NULL DEFAULT '{}',
  plan_digest text NOT NULL,
  reason text,
  approved_at timestamptz NOT NULL DEFAULT crossfade.clock(),
  event bigint,
  point text,
  gate text,
  token text CHECK (octet_length(token) <= 16384),
  signed_input bytea UNIQUE,
  issuer text,
  identity text,
  groups text[] NOT NULL DEFAULT '{}',
  refused text,
  CHECK ((point IS NULL) = (gate IS NULL))
);
CREATE INDEX approval_unheard ON crossfade.approval (migration) WHERE event IS NULL;

-- A trigger and no CHECK: a dump is restored by another role than those that approved.
CREATE FUNCTION crossfade.sign_approval() RETURNS trigger
LANGUAGE plpgsql SET search_path TO pg_catalog, pg_temp AS $$
BEGIN
  IF new.role <> session_user THEN
    RAISE EXCEPTION 'an approval is given as the role that authenticated, %', session_user
      USING ERRCODE = 'insufficient_privilege';
  END IF;
  -- Not pg_has_role, which says yes to a superuser for every role. A grant that only lets administer the role, as
  -- PostgreSQL 16 gives it to whoever creates one, makes nobody a member.
  new.roles := ARRAY(
    WITH RECURSIVE held AS (
      SELECT oid FROM pg_roles WHERE rolname = session_user
      UNION
      SELECT m.roleid FROM pg_auth_members AS m JOIN held ON m.member = held.oid
       WHERE coalesce((to_jsonb(m) ->> 'inherit_option')::boolean OR (to_jsonb(m) ->> 'set_option')::boolean, true))
    SELECT rolname::text FROM pg_roles JOIN held USING (oid) ORDER BY rolname);
  new.event := NULL;
  IF TG_OP = 'INSERT' THEN
    -- A token counts as of the moment at which it came here, by the server's clock.
    new.approved_at := crossfade.clock();
    new.signed_input := sha256(convert_to(substring(new.token FROM '^[^.]*[.][^.]*'), 'UTF8'));
    new.issuer := NULL;
    new.identity := NULL;
    new.groups := '{}';
    new.refused := NULL;
  END IF;
  RETURN new;
END $$;
CREATE TRIGGER signed
  BEFORE INSERT OR UPDATE OF id, migration, team, role, roles, plan_digest, reason, approved_at, point, gate
  ON crossfade.approval
  FOR EACH ROW EXECUTE FUNCTION crossfade.sign_approval();

-- Tables of old values. leg: a way back past it needs them.
CREATE TABLE crossfade.archive (
  stored_in text PRIMARY KEY,
  migration text NOT NULL,
  relation text NOT NULL,
  columns text[] NOT NULL,
  leg text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT crossfade.clock(),
  keep_until timestamptz,
  purged_at timestamptz
);

-- One row a server whose pg_stat_statements is sampled: `primary`, or where the URL of a replica is kept.
-- covered_since: from then on no statement escaped, but for those evicted between two samples, counted in `evicted`.
-- unread_at, shared_at: the last sample that could not read the texts of others, or met a session of another program
-- under the role whose statements are left out as crossfade's own. evicted_at, unsampled_at: the last one that found
-- evictions, or more standbys than replicas that are sampled.
CREATE TABLE crossfade.usage_node (
  node text PRIMARY KEY,
  covered_since timestamptz NOT NULL,
  sampled_at timestamptz NOT NULL,
  samples bigint NOT NULL DEFAULT 0,
  longest_gap interval NOT NULL DEFAULT '0',
  server_version integer NOT NULL,
  reset_at timestamptz,
  evictions bigint NOT NULL DEFAULT 0,
  evicted bigint NOT NULL DEFAULT 0,
  standbys integer NOT NULL DEFAULT 0,
  left_out text[] NOT NULL DEFAULT '{}',
  unread_at timestamptz,
  shared_at timestamptz,
  evicted_at timestamptz,
  unsampled_at timestamptz,
  limits text[] NOT NULL DEFAULT '{}'
);

-- One row a statement, without literals. calls, exec_time: the server's counters when it was last sampled.
-- called_at: the sample that found them risen; NULL: not since the first one. names: of a text nobody can resolve.
CREATE TABLE crossfade.usage_statement (
  node text NOT NULL REFERENCES crossfade.usage_node ON DELETE CASCADE,
  role text NOT NULL,
  queryid bigint NOT NULL,
  text text NOT NULL,
  names text[],
  calls bigint NOT NULL,
  exec_time double precision NOT NULL,
  called_at timestamptz,
  seen bigint NOT NULL DEFAULT 0,
  PRIMARY KEY (node, role, queryid)
);

-- Who wrote an old column of a migration that counts it; no values. A session adds a row at its first write and then
-- at most one a minute, with how many writes there were since: nobody waits for anybody, and what a session wrote in
-- its last minute may be missing from `calls`. A sample makes one row of those of the same writer.
CREATE TABLE crossfade.old_write (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  migration text NOT NULL,
  relation text NOT NULL,
  column_name text NOT NULL,
  role text NOT NULL,
  application text NOT NULL,
  calls bigint NOT NULL,
  first_at timestamptz NOT NULL,
  last_at timestamptz NOT NULL
);

-- What the schema is by what migrations have made of it and people have accepted, as canonical JSON; at most one row.
-- seen: what differed from it when it was last looked at, in the same form; fingerprint: of the catalog then.
CREATE TABLE crossfade.structure (
  one boolean PRIMARY KEY DEFAULT true CHECK (one),
  body text NOT NULL,
  digest text NOT NULL,
  seen text NOT NULL,
  fingerprint text NOT NULL,
  server_version integer NOT NULL,
  kept_at timestamptz NOT NULL DEFAULT crossfade.clock()
);

-- Migrations that are at work on the schema, from the beginning of a run to its end. found: what differed before.
CREATE TABLE crossfade.at_work (
  migration text PRIMARY KEY REFERENCES crossfade.migration,
  found text NOT NULL
);

CREATE TABLE crossfade.event (
  seq bigint PRIMARY KEY,
  at timestamptz NOT NULL,
  migration text NOT NULL,
  kind text NOT NULL,
  role text NOT NULL,
  body jsonb NOT NULL,
  previous bytea NOT NULL,
  hash bytea NOT NULL
);
CREATE INDEX event_of_migration ON crossfade.event (migration, seq);

-- The chain's end: deleting the newest events shows too.
CREATE TABLE crossfade.event_head (
  one boolean PRIMARY KEY DEFAULT true CHECK (one),
  seq bigint NOT NULL,
  hash bytea NOT NULL
);
INSERT INTO crossfade.event_head (seq, hash) VALUES (0, '\x');

CREATE FUNCTION crossfade.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'crossfade.event is append-only' USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON crossfade.event
  FOR EACH ROW EXECUTE FUNCTION crossfade.refuse_change();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON crossfade.event
  FOR EACH STATEMENT EXECUTE FUNCTION crossfade.refuse_change();

-- Appends one event; the head's row lock makes the chain one line.
CREATE FUNCTION crossfade.append_event(of_migration text, of_kind text, of_body jsonb) RETURNS bigint
LANGUAGE plpgsql SET search_path TO pg_catalog, pg_temp SET timezone TO 'UTC' AS $$
DECLARE
  head crossfade.event_head;
  moment timestamptz;
  written text;
  made bytea;
BEGIN
  SELECT * INTO STRICT head FROM crossfade.event_head FOR UPDATE;
  moment := crossfade.clock();
  written := concat_ws(chr(31), head.seq + 1, to_char(moment, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), of_migration, of_kind,
                       session_user, of_body::text);
  made := sha256(head.hash || convert_to(written, 'UTF8'));
  INSERT INTO crossfade.event VALUES
    (head.seq + 1, moment, of_migration, of_kind, session_user, of_body, head.hash, made);
  UPDATE crossfade.event_head SET seq = head.seq + 1, hash = made;
  RETURN head.seq + 1;
END $$;

-- Anybody who can log in and read the plan may approve it, as themselves: what an approval is worth, its gate decides.
CREATE FUNCTION crossfade.approve(of_migration text, of_team text, of_plan text, of_reason text,
                                  of_point text DEFAULT NULL, of_gate text DEFAULT NULL, of_token text DEFAULT NULL)
RETURNS text LANGUAGE sql SECURITY DEFINER SET search_path TO pg_catalog, pg_temp AS $$
  INSERT INTO crossfade.approval (migration, team, plan_digest, reason, point, gate, token)
  VALUES (of_migration, of_team, of_plan, of_reason, of_point, of_gate, of_token);
  SELECT session_user::text
$$;

-- Called by sync triggers as the application's role, hence SECURITY DEFINER and open to PUBLIC: a role may be given
-- the right to write a table at any time, and its writes must not fail for want of another one. Whoever misuses them
-- gains nothing: a conflict noted by hand holds a migration up until rows are compared again, and one resolved by hand
-- does not open contract, nor end a backfill, which ask the rows themselves. Only for a migration that the ledger knows.
-- A note is locked to the end of the application's transaction, as its row is: nobody but who writes that row waits.
CREATE FUNCTION crossfade.note_conflict(of_migration text, of_relation text, of_key jsonb, of_sqlstate text)
RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path TO pg_catalog, pg_temp AS $$
  INSERT INTO crossfade.conflict (migration, relation, key, sqlstate)
  SELECT id, of_relation, of_key, of_sqlstate FROM crossfade.migration WHERE id = of_migration
  ON CONFLICT (migration, relation, key)
  DO UPDATE SET sqlstate = excluded.sqlstate, seen_at = crossfade.clock(), resolved_at = NULL
$$;
CREATE FUNCTION crossfade.resolve_conflict(of_migration text, of_relation text, of_key jsonb)
RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path TO pg_catalog, pg_temp AS $$
  UPDATE crossfade.conflict SET resolved_at = crossfade.clock()
   WHERE migration = of_migration AND relation = of_relation AND key = of_key AND resolved_at IS NULL
$$;
-- Of the triggers that count who writes an old column, with the migration, its table and column, and a name of the
-- session's note: when it last added a row, writes since, and who it was. Crossfade's own sessions are no writers.
-- A writer never fails, nor waits, for its sake: a locked, missing or full table is not written. With 400,000 rows since the
-- last sample it is full.
CREATE FUNCTION crossfade.count_write() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path TO pg_catalog, pg_temp AS $$
DECLARE
  application text := current_setting('application_name');
  writer text := coalesce(nullif(current_setting('role'), 'none'), session_user::text);
  who text := md5(writer || ' ' || application);
  note text := 'crossfade.w_' || TG_ARGV[3];
  moment timestamptz := crossfade.clock();
  second bigint := extract(epoch FROM moment)::bigint;
  writes bigint := 1;
  noted text[];
BEGIN
  IF application LIKE 'crossfade%' THEN
    RETURN new;
  END IF;
  BEGIN
    noted := string_to_array(current_setting(note, true), ' ');
    IF noted[3] = who THEN
      writes := noted[2]::bigint + 1;
    END IF;
    IF noted[3] = who AND second - noted[1]::bigint BETWEEN 0 AND 59 THEN
      note := set_config(note, noted[1] || ' ' || writes || ' ' || who, false);
    ELSE
      LOCK TABLE crossfade.old_write IN ROW EXCLUSIVE MODE NOWAIT;  -- first: to read it waits for a lock too
      -- Not its size, which stays when a sample has made one row of many: those that are left lie at its end.
      IF coalesce((SELECT max(id) - min(id) FROM crossfade.old_write), 0) < 400000 THEN
        INSERT INTO crossfade.old_write
               (migration, relation, column_name, role, application, calls, first_at, last_at)
        VALUES (TG_ARGV[0], TG_ARGV[1], TG_ARGV[2], writer, application, writes, moment, moment);
        note := set_config(note, second || ' 0 ' || who, false);
      END IF;
    END IF;
  EXCEPTION WHEN OTHERS THEN
    NULL;
  END;
  RETURN new;
END $$;
-- Said, for a database may have taken this default from its functions, or left it. append_event acts with its caller's
-- own rights on the tables, so it gives nobody anything; the trigger functions are for these tables' triggers alone.
GRANT EXECUTE ON FUNCTION
  crossfade.clock, crossfade.note_conflict, crossfade.resolve_conflict, crossfade.approve, crossfade.append_event,
  crossfade.count_write
  TO PUBLIC;
REVOKE EXECUTE ON FUNCTION crossfade.sign_approval, crossfade.refuse_change FROM PUBLIC;
