"""Something that an application commits after a batch has begun to look and before it holds the rows."""

from __future__ import annotations

import threading
import time

from tests.scene import Scene

from crossfade.spec.fragment import trusted

# Of the row with id 1, which is looked at first.
SLOW = """
CREATE FUNCTION slow(id int) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  IF id = 1 THEN PERFORM pg_sleep(1.5); END IF;
  RETURN true;
END $$;"""
_SLEEPS = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()"


def up_and_meanwhile(scene: Scene, statement: str) -> None:
    """Run the migration, whose batch calls `slow`, and the statement while it sleeps for the first time."""
    running = threading.Thread(target=scene.up)
    running.start()
    while running.is_alive() and not scene.one(_SLEEPS):
        time.sleep(0.05)
    assert running.is_alive()
    with scene.connect() as application:
        application.execute(trusted(statement))
    running.join()
