"""Start a server, obey the owner until it says stop or is gone, and leave nothing behind."""

from __future__ import annotations

import signal
import sys
from contextlib import suppress
from types import FrameType

from .home import Home
from .job import Job
from .owner import Gone, Owner
from .postmaster import Failed, Postmaster


def main() -> None:
    owner = Owner(int(sys.argv[1]))

    def end(_signum: int, _frame: FrameType | None) -> None:
        owner.end()

    for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(signum, end)
    with suppress(Gone):
        job = Job.load(owner.request())
        try:
            _serve(job, owner)
        except Failed as failure:
            owner.report({"failed": failure.what, "log": failure.log})
        except OSError as error:
            owner.report({"failed": str(error), "log": ""})


def _serve(job: Job, owner: Owner) -> None:
    home = Home(job.parent, job.account)
    postmaster = Postmaster(job, home, owner)
    try:
        postmaster.prepare()
        postmaster.start()
        owner.report(postmaster.facts())
        while (request := owner.request()) != "stop":
            owner.report(_obey(request, postmaster))
    finally:
        postmaster.stop()
        if job.data_directory is None:
            postmaster.forget()
        home.remove()


def _obey(request: str, postmaster: Postmaster) -> dict[str, object]:
    try:
        match request:
            case "kill":
                postmaster.kill()
            case "restart":
                postmaster.stop()
                postmaster.start()
            case _:
                raise Failed(f"the guardian does not know how to {request}")
    except Failed as failure:
        return {"failed": failure.what, "log": failure.log}
    return postmaster.facts()


if __name__ == "__main__":
    main()
