"""What Dagster's Celery workers are told beside CELERY_BROKER_URL; they find this file on PYTHONPATH."""

import os

broker_url = os.environ["CELERY_BROKER_URL"]
result_backend = os.environ["CELERY_RESULT_BACKEND"]

# A run is acknowledged when it starts, so no broker hands it out a second time: Dagster repeats runs, Celery none.
# One that was fetched and not started would come back when the visibility timeout is over; none is fetched ahead.
task_acks_late = False
worker_disable_prefetch = True
worker_prefetch_multiplier = 1
broker_transport_options = {"visibility_timeout": 600}
broker_connection_retry_on_startup = True

# Dagster takes a run that has no state here for dead: it is kept for longer than any run takes.
result_expires = 14 * 24 * 3600
