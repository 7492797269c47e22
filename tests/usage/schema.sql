CREATE TABLE users (id int PRIMARY KEY, name text, email text, team int, CONSTRAINT one_address UNIQUE (email));
CREATE TABLE teams (id int PRIMARY KEY, title text, email text);
CREATE TABLE orders (id int PRIMARY KEY, user_id int, total numeric, note text);
CREATE TABLE settings (id int PRIMARY KEY, body jsonb);
CREATE TYPE place AS (street text, email text);
CREATE TABLE shops (id int PRIMARY KEY, address place);
CREATE VIEW contacts AS SELECT id, email AS address FROM users WHERE team > 0;
CREATE VIEW addresses AS SELECT address FROM contacts;
CREATE VIEW everything AS SELECT * FROM users;
CREATE MATERIALIZED VIEW mailing AS SELECT email FROM users;
CREATE FUNCTION email_of(of_id int) RETURNS text LANGUAGE sql AS 'SELECT email FROM users WHERE id = of_id';
CREATE FUNCTION email_of(of_id text) RETURNS text LANGUAGE sql RETURN of_id;
CREATE FUNCTION label_of(u users) RETURNS text LANGUAGE sql AS 'SELECT u.name';
CREATE FUNCTION address_of(u users) RETURNS text LANGUAGE sql RETURN u.email;
CREATE FUNCTION standard(of_id int) RETURNS text LANGUAGE sql
  BEGIN ATOMIC SELECT u.email FROM users AS u WHERE u.id = of_id; END;
CREATE FUNCTION everybody() RETURNS SETOF users LANGUAGE sql AS 'SELECT * FROM users';
CREATE FUNCTION names_of(of_team int) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE email text; found_one record;
BEGIN
  FOR found_one IN SELECT name AS email FROM users WHERE team = of_team LOOP
    email := found_one.email;
    RETURN NEXT email;
  END LOOP;
END $$;
CREATE FUNCTION rename_one(of_id int, to_what text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE one users%ROWTYPE;
BEGIN
  IF EXISTS (SELECT FROM users WHERE id = of_id) THEN
    UPDATE users SET email = to_what WHERE id = of_id;
  END IF;
END $$;
CREATE FUNCTION into_field(of_id int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE one users%ROWTYPE;
BEGIN
  SELECT name, email INTO one.name, one.email FROM users WHERE id = of_id;
  RETURN one.name;
END $$;
CREATE FUNCTION by_field(of_id int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE one users%ROWTYPE;
BEGIN
  SELECT * INTO one FROM users WHERE id = of_id;
  IF one.id > 1 THEN one.name := 'x'; END IF;
  RETURN one.name;
END $$;
CREATE FUNCTION dynamic(which text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE 'UPDATE users SET email = NULL WHERE ' || which;
END $$;
CREATE FUNCTION outer_one(of_id int) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RETURN email_of(of_id); END $$;
CREATE PROCEDURE forget(of_id int) LANGUAGE sql AS 'UPDATE users SET email = NULL WHERE id = of_id';
