"""Runs on Celery's workers that can be cancelled. deploy/celery/dagster.yaml names it; only there is dagster-celery."""

from __future__ import annotations

from dagster_celery.launcher import CeleryRunLauncher
from typing_extensions import override


class CancellingCeleryRunLauncher(CeleryRunLauncher):
    """Dagster's own, which interrupts a run and does not say that somebody asked for it: such a run is taken for one
    that crashed, and run again.
    """

    @override
    def terminate(self, run_id: str) -> bool:
        run = self._instance.get_run_by_id(run_id)
        if run is None or run.is_finished:
            return False
        self._instance.report_run_canceling(run)
        return super().terminate(run_id)
