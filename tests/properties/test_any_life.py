"""Whatever the rows, and in whatever order phases, writes, pauses, crashes and rollbacks come: nothing is lost."""

from __future__ import annotations

import os
from contextlib import ExitStack

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from tests.properties.life import Life
from tests.scene import Scene
from tests.steps.scenes import shared_scenes

from crossfade.server import Server

# Not shrunk: a step takes a second, and some six of them can be read as they are.
_ALWAYS = settings(
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    print_blob=True,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
)
PROFILES = {
    "short": settings(_ALWAYS, max_examples=8, stateful_step_count=6, derandomize=True, database=None),
    "long": settings(_ALWAYS, max_examples=1000, stateful_step_count=20),  # hours; fresh examples each time
}


@pytest.mark.timeout(0)
def test_nothing_is_lost_in_any_order_of_phases_writes_pauses_crashes_and_rollbacks(
    server: Server, tmp_path_factory: pytest.TempPathFactory
) -> None:
    def open_scene(stack: ExitStack) -> Scene:
        return stack.enter_context(shared_scenes(server, tmp_path_factory))()

    class Fresh(Life):
        pass

    Fresh.open_scene = staticmethod(open_scene)
    run_state_machine_as_test(Fresh, settings=PROFILES[os.environ.get("CROSSFADE_PROPERTIES", "short")])
