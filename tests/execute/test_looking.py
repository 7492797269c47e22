"""Many migrations are looked at by one session a database, and one that is lost keeps nobody else waiting."""

from __future__ import annotations

import psycopg
import pytest
from tests.scene import Scene

from crossfade.execute import Lookout
from crossfade.execute.status import status_of

OURS = "SELECT pid FROM pg_stat_activity WHERE application_name = 'crossfade look' AND datname = current_database()"
ADD = """\
changes: [{{add_column: {{table: {table}, column: c, type: text, up: "'new'"}}}}]
gates: {{contract: [{{soak: 7d}}]}}
"""


@pytest.fixture
def waiting(scene: Scene) -> Scene:
    """Two migrations that wait for their contract."""
    for name in ("a", "b"):
        scene.sql(f"CREATE TABLE {name} (id bigint PRIMARY KEY)")
        scene.spec(ADD.format(table=name), id=name)
        scene.up(id=name)
    return scene


def test_those_of_one_database_are_looked_at_by_one_session(waiting: Scene) -> None:
    with Lookout(waiting.project()) as lookout:
        legs = [str(lookout.look(waiting.migration(name)).leg) for name in ("a", "b")]
        sessions = len(waiting.sql(OURS))

    assert (legs, sessions) == (["retire", "retire"], 1)


def test_a_session_that_was_lost_is_opened_anew_for_the_next(waiting: Scene) -> None:
    with Lookout(waiting.project()) as lookout:
        lookout.look(waiting.migration("a"))
        waiting.sql(f"SELECT pg_terminate_backend(pid, 10000) FROM ({OURS}) AS ours")
        with pytest.raises(psycopg.OperationalError):
            lookout.look(waiting.migration("a"))

        looked = lookout.look(waiting.migration("b"))

    assert [waits.label for waits in looked.waiting] == ["soak 7d"]


def test_a_leg_has_started_once_its_steps_were_begun_and_not_while_gates_before_it_wait(waiting: Scene) -> None:
    waiting.sql("CREATE TABLE c (id bigint PRIMARY KEY)")
    waiting.spec(ADD.format(table="c").replace("contract:", "validate:"), id="c")
    waiting.up(id="c")

    status = {each.id: each for each in status_of(waiting.project(), waiting.project().migrations)}

    assert (status["a"].leg, status["a"].leg_started) == ("retire", None)
    assert status["c"].leg == "validate"
    assert status["c"].leg_started is not None
