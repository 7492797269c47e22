"""An exported audit: a line for each event, by which a ledger is compared later on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crossfade.errors import CrossfadeError, Position

if TYPE_CHECKING:
    from crossfade.ledger import Link


_FIX = "name a file of `crossfade audit export`"


def line(database: str, link: Link) -> str:
    """Hashes in hex; the body stays text, for its hash is over every letter."""
    said = asdict(link) | {"previous": link.previous.hex(), "hash": link.hash.hex()}
    return json.dumps({"database": database, **said}, ensure_ascii=False)


def read(path: Path) -> dict[str, Link]:
    """The last event of each database; raises CrossfadeError, with the line, unless every chain is sound."""
    from crossfade.ledger import follow

    chains: dict[str, list[Link]] = {}
    for database, link in _links(path):
        chains.setdefault(database, []).append(link)
    last: dict[str, Link] = {}
    for database, chain in chains.items():
        sound, tampered = follow(chain)
        if tampered is not None:
            raise CrossfadeError(
                f"{path} is no export that was left as it was",
                why=f"event {tampered.seq} of {database} {tampered.what}",
                fix="compare with another copy of it",
            )
        assert sound is not None
        last[database] = sound
    return last


def _links(path: Path) -> Iterator[tuple[str, Link]]:
    from crossfade.ledger import Link

    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise CrossfadeError(f"{path} cannot be read: {reason}", fix=_FIX) from None
    for number, each in enumerate(text.split("\n"), start=1):
        if not each:
            continue
        try:
            said: dict[str, Any] = json.loads(each)
            database = said.pop("database")
            said.update({name: bytes.fromhex(said[name]) for name in ("previous", "hash")})
            yield database, Link(**said)
        except (ValueError, TypeError, KeyError, AttributeError):
            raise CrossfadeError(
                "this line is no exported event",
                where=Position(path, number),
                fix=_FIX,
            ) from None
