"""What the schema is expected to be, and which migrations are at work on it."""

from __future__ import annotations

from collections.abc import Mapping

from psycopg.rows import class_row

from crossfade.ledger.events import Events
from crossfade.ledger.records import StructureRecord

_RECORD = "SELECT digest, seen, fingerprint, server_version, kept_at FROM crossfade.structure"


class Structures(Events):
    """The structure that is kept; it is JSON text here, which the catalog reads and writes."""

    def structure(self) -> StructureRecord | None:
        """None before the first one is kept."""
        with self.connection.cursor(row_factory=class_row(StructureRecord)) as cursor:
            return cursor.execute(_RECORD).fetchone()

    def lock_structure(self) -> StructureRecord | None:
        """The same, until the transaction ends."""
        with self.connection.cursor(row_factory=class_row(StructureRecord)) as cursor:
            return cursor.execute(f"{_RECORD} FOR UPDATE").fetchone()

    def structure_body(self) -> str:
        """The text that is kept; an empty list before the first one."""
        row = self.connection.execute("SELECT body FROM crossfade.structure").fetchone()
        return row[0] if row is not None else "[]"

    def keep_structure(self, body: str, digest: str, *, seen: str, fingerprint: str) -> None:
        self.connection.execute(
            "INSERT INTO crossfade.structure (body, digest, seen, fingerprint, server_version)"
            " VALUES (%(body)s, %(digest)s, %(seen)s, %(fingerprint)s, %(version)s)"
            " ON CONFLICT (one) DO UPDATE SET body = excluded.body, digest = excluded.digest, seen = excluded.seen,"
            " fingerprint = excluded.fingerprint, server_version = excluded.server_version,"
            " kept_at = crossfade.clock()",
            {
                "body": body,
                "digest": digest,
                "seen": seen,
                "fingerprint": fingerprint,
                "version": self.connection.info.server_version,
            },
        )

    def structure_seen(self, seen: str, *, fingerprint: str) -> None:
        """What differed from it just now, which changes nothing of what is expected."""
        self.connection.execute("UPDATE crossfade.structure SET seen = %s, fingerprint = %s", (seen, fingerprint))

    def at_work(self) -> Mapping[str, str]:
        """By migration, what differed when it began."""
        return dict(self.connection.execute("SELECT migration, found FROM crossfade.at_work ORDER BY 1").fetchall())

    def begin_work(self, migration: str, found: str) -> None:
        self.connection.execute(
            "INSERT INTO crossfade.at_work (migration, found) VALUES (%s, %s) ON CONFLICT DO NOTHING",
            (migration, found),
        )

    def end_work(self, migration: str) -> None:
        self.connection.execute("DELETE FROM crossfade.at_work WHERE migration = %s", (migration,))

    def lock_abandoned(self, migration: str) -> bool:
        """Nobody works on the migration, nor begins to before the transaction ends."""
        row = self.connection.execute(
            "SELECT FROM crossfade.migration WHERE id = %s"
            " AND (holder IS NULL OR lease_until <= pg_catalog.clock_timestamp()) FOR UPDATE",
            (migration,),
        ).fetchone()
        return row is not None
