-- The sample table of a new project, made when its embedded database is first used.
CREATE TABLE users (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  email text,
  name text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now()
);
INSERT INTO users (email, name)
SELECT format('User%s@Example.com', n), format('User %s', n) FROM generate_series(1, 20000) AS n;
ANALYZE users;
