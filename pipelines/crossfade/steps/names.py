"""Names we create in a user's database: at most 63 bytes, unique by construction, starting with `_cf_`."""

from __future__ import annotations

import hashlib

from crossfade.spec.values import LONGEST_NAME

PREFIX = "_cf_"


def own_name(migration: str, purpose: str, *subject: str) -> str:
    """A name that says what it is for and cannot collide, e.g. `_cf_normalize_emails_email_new_3f2a91`.

    The hash is over all parts, so cutting the readable middle loses nothing. Names of different purposes,
    subjects or migrations differ even when they are cut at the same place.
    """
    identity = "\x1f".join((migration, purpose, *subject))
    tail = f"_{purpose}_{hashlib.sha256(identity.encode()).hexdigest()[:8]}"
    middle = f"{migration}_{subject[-1]}" if subject else migration
    room = LONGEST_NAME - len(PREFIX) - len(tail.encode())
    return PREFIX + middle.encode()[:room].decode(errors="ignore") + tail
