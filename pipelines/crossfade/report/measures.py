"""Times, sizes and counts as people say them."""

from __future__ import annotations

from datetime import datetime

_UNITS = ((86400, "d"), (3600, "h"), (60, "min"))
_SIZES = ("kB", "MB", "GB", "TB")


def said_seconds(seconds: float) -> str:
    """`500 ms`, `12 s`, `3 min 20 s`, `6 d 23 h`: at most two units."""
    if seconds < 1:
        return f"{round(seconds * 1000)} ms"
    if seconds < 60:
        return f"{seconds:.1f} s".replace(".0 s", " s") if seconds < 10 else f"{seconds:.0f} s"
    whole, parts = round(seconds), list[str]()
    for size, unit in (*_UNITS, (1, "s")):
        count, whole = divmod(whole, size)
        if count and len(parts) < 2:
            parts.append(f"{count} {unit}")
        elif parts:
            break
    return " ".join(parts)


def said_bytes(count: int) -> str:
    """`512 bytes`, `1.2 MB`, in powers of 1024 as PostgreSQL counts."""
    if count < 1024:
        return f"{count} bytes"
    size, unit = count / 1024, _SIZES[0]
    for larger in _SIZES[1:]:
        if size < 1024:
            break
        size, unit = size / 1024, larger
    return f"{size:.1f} {unit}" if size < 10 else f"{size:.0f} {unit}"


def said_rows(count: int) -> str:
    """A table's estimated number of rows; PostgreSQL says -1 for one it never analysed."""
    return "number not known" if count < 0 else f"{count:,}"


def said_ago(moment: datetime, now: datetime) -> str:
    """How long ago `moment` was: `2 min ago`, `just now`."""
    seconds = (now - moment).total_seconds()
    return "just now" if seconds < 1 else f"{said_seconds(seconds)} ago"


def said_moment(moment: datetime) -> str:
    """A moment in the reader's time zone, to the second."""
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S %Z")
