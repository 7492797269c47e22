"""What was written in the source since the copying began, applied here by key, until both are of one moment.

A round sees one snapshot of the source: the captured writes in it, and the rows that bear their keys now. What it has
seen is forgotten in the source only when it is committed here; seen twice, it does no harm.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import psycopg
from psycopg import errors, sql

from crossfade.execute.errors import ExecutionFailed, Paused, StepRefused
from crossfade.execute.notice import Progress
from crossfade.execute.patience import Patience
from crossfade.execute.session import limit
from crossfade.execute.site import Site
from crossfade.execute.streaming import room_for, stream
from crossfade.execute.throttle import Throttle
from crossfade.server_words import told
from crossfade.spec.fragment import trusted
from crossfade.steps.compose import names, same_key, table
from crossfade.steps.step import Copy

_AT_ONCE = 20_000  # captured writes: the lag that is left when a round takes fewer is what came while it ran


class Follower:
    """Applies captured writes on a session of its own in the source.

    keys: rows that were written or deleted here. proved: rows that both sides have, where that was asked.
    """

    def __init__(self, site: Site, source: Site, step: Copy, throttle: Throttle) -> None:
        self._site = site
        self._source = source
        self._step = step
        self._of = step.of
        self._patience = Patience(site, step, throttle, site.stopping)
        self._reader = source.session()
        self._reader.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        self._reader.read_only = True
        self.keys = 0
        self.proved: int | None = None

    def close(self) -> None:
        with suppress(psycopg.Error):
            self._reader.close()

    def catch_up(self) -> bool:
        """Rounds until one has taken all there was; false: the source was emptied, and all is to be copied anew."""
        most: int | None = _AT_ONCE
        while True:
            self._patience.wait_for_room()
            try:
                seen, emptied, is_last = self._round(most)
            except errors.UniqueViolation as error:
                # Two rows may have changed places in a unique rule, and one of them is further back.
                if most is None:
                    raise ExecutionFailed(
                        f"{self._step.title}: {told(error)}",
                        why=f"the rows of {self._of.source} break a rule of {self._of.target} (SQLSTATE 23505)",
                        fix=f"mend the rows or the rule, then run {self._site.to_go_on} again",
                        sqlstate=error.sqlstate,
                    ) from None
                most = None
                continue
            self._forget(seen)
            if emptied:
                return False
            if is_last:
                return True
            most = _AT_ONCE
            self._site.listen(
                Progress(self._step, 1.0, self.keys, 0, 0.0, None, f"{len(seen):,} writes were captured meanwhile")
            )

    def _round(self, most: int | None) -> tuple[list[int], bool, bool]:
        """Gives the captured writes it has seen, whether one of them emptied the table, and whether that was all."""
        with self._site.transaction() as work:
            if self._site.paused:
                raise Paused
            limit(work, idle_in_transaction_session_timeout=0, lock_timeout=self._site.settings.lock_timeout)
            with self._reader.transaction():
                limit(
                    self._reader,
                    idle_in_transaction_session_timeout=0,
                    lock_timeout=self._site.settings.lock_timeout,
                )
                found = self._reader.execute(
                    sql.SQL("SELECT id, emptied FROM {} ORDER BY id LIMIT {}").format(
                        table(self._of.captured), sql.SQL("ALL") if most is None else sql.Literal(most)
                    )
                ).fetchall()
                seen = [number for number, _ in found]
                is_last = most is None or len(seen) < most
                if any(emptied for _, emptied in found):
                    self._begin_anew(work)
                    return seen, True, is_last
                if seen:
                    self._apply(work, seen[-1])
                if is_last:
                    self._follow_sequences(work)
                    if self._step.prove:
                        self._prove(work)
        return seen, False, is_last

    def _apply(self, work: psycopg.Connection[Any], upto: int) -> None:
        of = self._of
        last = sql.Literal(upto)
        keys = room_for(work, "_cf_keys", of, of.key)
        rows = room_for(work, "_cf_rows", of, of.columns)
        self.keys += stream(self._reader, trusted(of.changed).format(upto=last), work, keys, of.key)
        stream(self._reader, trusted(of.current).format(upto=last), work, rows, of.columns)
        # Without statistics the whole target might be read for a few keys.
        work.execute(sql.SQL("ANALYZE {}, {}").format(keys, rows))
        types = dict(zip(of.key, of.key_types, strict=True))
        gone = sql.SQL("DELETE FROM {} AS t USING {} AS k WHERE {}").format(
            table(of.target), keys, same_key(of.key, types, "t", "k")
        )
        is_left = sql.SQL(" AND NOT EXISTS (SELECT FROM {} AS r WHERE {})").format(
            rows, same_key(of.key, types, "t", "r")
        )
        more = [column for column in of.columns if column not in of.key]
        change = sql.SQL("DO UPDATE SET {}").format(
            sql.SQL(", ").join(sql.SQL("{c} = excluded.{c}").format(c=sql.Identifier(column)) for column in more)
        )
        put = sql.SQL(
            "INSERT INTO {} ({cols}) OVERRIDING SYSTEM VALUE SELECT {cols} FROM {} ON CONFLICT ({}) {}"
        ).format(
            table(of.target), rows, names(of.key), change if more else sql.SQL("DO NOTHING"), cols=names(of.columns)
        )
        try:
            with work.transaction():
                work.execute(gone + is_left)
                work.execute(put)
        except errors.UniqueViolation:
            with work.transaction():
                work.execute(gone)
                work.execute(put)

    def _begin_anew(self, work: psycopg.Connection[Any]) -> None:
        work.execute(sql.SQL("TRUNCATE {}").format(table(self._of.target)))
        work.execute(
            "DELETE FROM crossfade.progress WHERE migration = %s AND step = %s", (self._site.migration, self._of.id)
        )
        self._site.ledger.event(
            self._site.migration, "copy starts anew", {"step": self._step.id, "because": "the source was truncated"}
        )

    def _follow_sequences(self, work: psycopg.Connection[Any]) -> None:
        for sequence, column in self._of.sequences:
            last = self._reader.execute(trusted(f"SELECT last_value, is_called FROM {sequence}")).fetchone()
            assert last is not None
            work.execute(
                "SELECT pg_catalog.setval(pg_catalog.pg_get_serial_sequence(%s, %s), %s, %s)",
                (table(self._of.target).as_string(None), column, *last),
            )

    def _prove(self, work: psycopg.Connection[Any]) -> None:
        there = self._reader.execute(trusted(self._of.read)).fetchone()
        here = work.execute(trusted(self._of.held)).fetchone()
        assert there is not None
        assert here is not None
        if there != here:
            counts = f"{here[0]:,} rows here, {there[0]:,} there"
            raise StepRefused(
                f"{self._of.target} is not what {self._of.relation} of {self._of.source} is: {counts}"
                + (", and other values" if here[0] == there[0] else ""),
                why=f"both were read as of one moment in {self._of.source}; somebody else wrote to {self._of.target}",
                fix=f"see that nobody writes it, and copy it anew: `crossfade rollback {self._site.migration} --to"
                f" expand`, then `crossfade up {self._site.migration}`",
            )
        self.proved = here[0]

    def _forget(self, seen: list[int]) -> None:
        """In the source, when it is committed here."""
        if seen:
            with self._source.transaction() as work:
                work.execute(sql.SQL("DELETE FROM {} WHERE id = ANY(%s)").format(table(self._of.captured)), (seen,))
