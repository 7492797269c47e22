"""The switch itself. At most one direction of replication is at work at any time, so that no row goes in circles.

Until the pooler's entry points at the new database, clients write in the old one and its slot keeps what they wrote;
from then on the slot of the way back does. Whatever a runner has left behind is read from the entry alone.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import conninfo, sql

from crossfade.execute import publishing
from crossfade.execute.ddl import until_done
from crossfade.execute.errors import ExecutionFailed, LockBudgetExceeded, Paused, StepRefused
from crossfade.execute.notice import Retrying, StepFinished
from crossfade.execute.replicate import ends
from crossfade.execute.site import Site
from crossfade.execute.switch import fence
from crossfade.execute.switch.console import Console, PoolerBusy
from crossfade.execute.switch.entry import Entry, Target
from crossfade.execute.switch.guard import Orders, guarded, let_go_on
from crossfade.spec import Database
from crossfade.steps.compose import table
from crossfade.steps.step import Switch

_DRAIN = 0.7  # seconds for which clients wait for each other's transactions
_CATCH_UP = 0.7  # seconds for which they wait for the last rows
_NEARLY = 0.2  # seconds in which the replication must catch up before anybody is made to wait
_LOGIN = 5  # seconds
_POLL = 0.005
_FIRST_DELAY, _LONGEST_DELAY = 0.5, 15.0


@dataclass(frozen=True)
class _Ways:
    """old, new: the databases that clients leave and go to."""

    old: Site
    new: Site
    entry: Entry
    orders: Orders
    console: str


class _Behind(Exception):
    """The replication did not catch up in time."""


def run_switch(site: Site, step: Switch) -> StepFinished:
    """Make clients go on in the subscriber of `away`. They wait for less than two seconds, or it is tried again later.

    Raises Paused; LockBudgetExceeded when clients' transactions are too long or the replication too far behind for as
    long as the budget; StepRefused where the pooler leads elsewhere, or clients are past it.
    """
    began = time.monotonic()
    ways = _ways(site, step)
    site.begin(step)
    held, attempts = 0.0, 0
    if _leads_to(ways.entry, ways.orders.new):
        let_go_on(ways.orders)
    else:
        _refuse_elsewhere(step, ways)
        _prepare(site, step, ways)
        held, attempts = _switch(site, step, ways)
    _settle(site, step, ways)
    with site.transaction():
        site.ledger.step_done(site.migration, step.id, detail={"held": held})
        site.ledger.event(
            site.migration,
            "clients switched",
            {"step": step.id, "from": ways.old.name, "to": ways.new.name, "seconds": round(held, 3)},
        )
    return StepFinished(step, time.monotonic() - began, attempts=max(attempts, 1), held=held)


def _ways(site: Site, step: Switch) -> _Ways:
    new, old = ends(site, step.away)
    console = Database("pooler", step.pooler.admin, site.database.where).conninfo()
    entry = Entry(Path(step.pooler.file), step.pooler.entry)
    to = _target(publishing.reached(new, step.back.reached))
    return _Ways(old, new, entry, Orders(console, entry.name, str(entry.file), old.database.conninfo(), to), console)


def _target(address: str) -> Target:
    parts = conninfo.conninfo_to_dict(address)
    return Target(str(parts.get("host") or ""), str(parts.get("port") or "5432"), str(parts.get("dbname") or ""))


def _leads_to(entry: Entry, target: Target) -> bool:
    return entry.target() == target


def _refuse_elsewhere(step: Switch, ways: _Ways) -> None:
    leads, wanted = ways.entry.target(), _target(publishing.reached(ways.old, step.away.reached))
    if leads != wanted:
        raise StepRefused(
            f"the pooler's entry {ways.entry.name} leads to neither {ways.old.name} nor {ways.new.name}",
            why=f"{ways.entry.file} says host={leads.host} port={leads.port} dbname={leads.dbname}, and {ways.old.name}"
            f" is at host={wanted.host} port={wanted.port} dbname={wanted.dbname}",
            fix="say how servers and the pooler reach the databases under `reached: {DATABASE: env:NAME}`",
        )
    console = Console(ways.console, ways.entry.name)
    try:
        mode = console.pool_mode()
    finally:
        console.close()
    if mode == "session":
        raise StepRefused(
            f"the pooler keeps a server connection for a whole session of a client in {ways.entry.name}",
            why="it could make clients wait only when all of them have gone",
            fix="set pool_mode = transaction for it",
        )
    _refuse_unwelcome(ways)


def _refuse_unwelcome(ways: _Ways) -> None:
    """Before anybody waits: the entry's user can log in where it will lead. Where it names none, each client's will."""
    login, to = ways.entry.login(), ways.orders.new
    if "user" not in login:
        return
    address = conninfo.make_conninfo(host=to.host, port=to.port, dbname=to.dbname, connect_timeout=_LOGIN, **login)
    try:
        psycopg.connect(address).close()
    except psycopg.OperationalError as error:
        if "FATAL: " in str(error):  # the server's answer; what is between it and us need not be the pooler's way
            raise StepRefused(
                f"the user of the pooler's entry {ways.entry.name} cannot log in to {ways.new.name}",
                why="clients would wait there in vain",
                fix=f"give it the same password there, CONNECT on the database and a line in pg_hba.conf; then run"
                f" {ways.new.to_go_on} again",
            ) from None


def _prepare(site: Site, step: Switch, ways: _Ways) -> None:
    """Both ways are there, and only the one that leads away is open."""
    away, back, old, new = step.away, step.back, ways.old, ways.new

    def prepare() -> None:
        publishing.disable(old, new, back)
        publishing.publish(new, back)
        publishing.subscribe(old, new, back, copying=False)
        publishing.enable(new, away)

    if fence.is_up(old.work) or fence.is_up(new.work):
        let_go_on(ways.orders)
    if fence.is_up(new.work):
        with new.transaction() as work:
            fence.lift(work)
    until_done(site, step, prepare)
    publishing.refuse_other_shape(old, away)
    publishing.refuse_other_shape(new, back)


def _switch(site: Site, step: Switch, ways: _Ways) -> tuple[float, int]:
    """Seconds for which clients waited, and attempts."""
    began, attempts, delay = time.monotonic(), 0, _FIRST_DELAY
    while True:
        attempts += 1
        try:
            if not _catches_up(step, ways, _NEARLY):
                raise _Behind
            return _attempt(site, step, ways), attempts
        except (PoolerBusy, _Behind) as reason:
            busy = isinstance(reason, PoolerBusy)
            why = "transactions of clients did not end" if busy else "the replication is behind"
        if time.monotonic() - began > site.settings.lock_budget:
            raise LockBudgetExceeded(
                f"{step.title}: given up after {attempts} attempts",
                why=why,
                fix=f"run {site.to_go_on} again at a quieter time; all clients are where they were",
            ) from None
        if site.ledger.paused(site.migration):
            raise Paused
        site.listen(Retrying(step, attempts, why, delay))
        if site.stopping.wait(delay):
            site.confirm()
        delay = min(delay * 2, _LONGEST_DELAY)


def _attempt(site: Site, step: Switch, ways: _Ways) -> float:
    """Whatever ends it early, the guard's hand or ours lets clients go on where the entry points."""
    away, back, old, new = step.away, step.back, ways.old, ways.new
    console = Console(ways.console, ways.entry.name)
    try:
        with guarded(ways.orders):
            site.fault("before pause")
            began = time.monotonic()
            console.pause(_DRAIN)
            site.fault("clients wait")
            fence.refuse_others(old, step.beside)
            with old.transaction() as work:
                fence.put_up(work)
            site.fault("fenced")
            if not _catches_up(step, ways, _CATCH_UP):
                raise _Behind
            publishing.disable(new, old, away, _CATCH_UP)
            _carry_numbers(step, old, new)
            publishing.skip(new, back)
            publishing.enable(old, back)
            site.fault("before the entry")
            ways.entry.point(ways.orders.new)
            site.fault("after the entry")
            console.reload()
            if console.target() != (ways.orders.new.host, ways.orders.new.port, ways.orders.new.dbname):
                ways.entry.point(_target(publishing.reached(old, away.reached)))
                raise ExecutionFailed(
                    f"the pooler does not lead to {new.name} after it was told to read {ways.entry.file} anew",
                    why="it reads another file, or refuses this one",
                    fix="name the file that it reads, or includes, under `pooler: {file: ...}`; see its log",
                )
            console.resume()
            return time.monotonic() - began
    finally:
        console.close()


def _settle(site: Site, step: Switch, ways: _Ways) -> None:
    """Clients are in the new database: the way back is open, the way that led here is gone."""

    def settle() -> None:
        publishing.disable(ways.new, ways.old, step.away)
        publishing.enable(ways.old, step.back)
        publishing.end(ways.new, ways.old, step.away)

    until_done(site, step, settle)


def _catches_up(step: Switch, ways: _Ways, within: float) -> bool:
    upto, until = publishing.written(ways.old), time.monotonic() + within
    while not publishing.has_applied(ways.old, step.away, upto):
        if time.monotonic() > until:
            return False
        time.sleep(_POLL)
    return True


def _carry_numbers(step: Switch, old: Site, new: Site) -> None:
    """In one commit of its own, which also flushes there what the replication has applied."""
    with new.transaction() as work:
        for sequence in step.sequences:
            last = old.work.execute(sql.SQL("SELECT last_value, is_called FROM {}").format(table(sequence))).fetchone()
            assert last is not None
            work.execute(
                "SELECT pg_catalog.setval(%s::pg_catalog.regclass, %s, %s)", (table(sequence).as_string(None), *last)
            )
