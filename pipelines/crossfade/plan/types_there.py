"""Types that a migration makes, there while it is planned, so that PostgreSQL can be asked what they mean."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager

import psycopg
from psycopg import errors

from crossfade.catalog.errors import CatalogLocked
from crossfade.catalog.objects import Composite, Domain, Enum
from crossfade.changes import Refused
from crossfade.errors import Position
from crossfade.plan.target import Target
from crossfade.server_words import told
from crossfade.spec.fragment import trusted
from crossfade.steps.compose import text
from crossfade.steps.types import made_again


@contextmanager
def types_there(target: Target, types: Sequence[Enum | Domain | Composite], where: Position) -> Generator[None]:
    """Made in a transaction that is rolled back: nobody else sees them, and nothing of them is left.

    Raises Refused where the role may not make them, as the migration may not.
    """
    if not types:
        yield
        return
    with target.connection.transaction(force_rollback=True):
        target.connection.execute("SET TRANSACTION READ WRITE")
        for type_ in types:
            try:
                for statement in text(*made_again(type_, maker=target.catalog.role.name)):
                    target.connection.execute(trusted(statement))
            except (errors.LockNotAvailable, errors.QueryCanceled) as error:
                raise CatalogLocked(
                    f"type {type_.name} is being made in database {target.database} by another session",
                    where=where,
                    why=told(error),
                    fix="wait until that session is done, and try again",
                ) from None
            except psycopg.Error as error:
                if isinstance(error, errors.OperationalError):
                    raise
                raise Refused(
                    f"type {type_.name} cannot be made in database {target.database}: {told(error)}",
                    where=where,
                    why="later changes of this migration name it, and PostgreSQL is asked what they mean",
                    fix=error.diag.message_hint or "give the role the right, or make the type in a migration before",
                ) from None
        yield
