"""How long a plan's long steps may take, from the tables' sizes and rates that are assumed and said."""

from __future__ import annotations

from crossfade.plan import Plan, Size
from crossfade.steps.step import (
    AnyStep,
    Autocommit,
    Brownout,
    BuildIndex,
    Check,
    Compare,
    Copy,
    Ddl,
    DropIndex,
    EndReplication,
    RebuildIndex,
    Replicate,
    Switch,
    Walk,
)

WALK_ROWS = 10_000  # a second
SCAN_BYTES = 100 * 2**20
BUILD_BYTES = 20 * 2**20
COPY_BYTES = 20 * 2**20

ASSUMPTION = (
    f"times assume {WALK_ROWS:,} rows a second for walks, {SCAN_BYTES // 2**20} MB a second for scans and"
    f" {BUILD_BYTES // 2**20} MB a second for index builds; waits for locks and throttling come on top"
)


def estimate(plan: Plan, step: AnyStep) -> float | None:
    """Seconds for a step whose time grows with its table, None for one that takes an instant or is not known."""
    sizes = [size for lock in step.locks if (size := plan.size(step.database, lock.relation))]
    match step:
        case Walk():
            # A table that was never analysed gives no number of rows to reckon with.
            rate = WALK_ROWS / (1 + plan.settings.nice_ratio)
            return _sum(sizes, "rows", rate) if all(size.rows >= 0 for size in sizes) else None
        case Copy():
            size = plan.size(step.of.source, step.of.relation)
            return _sum([size], "bytes", COPY_BYTES) if size else None
        case BuildIndex() | RebuildIndex() | Ddl(works_locked=True):
            return _sum(sizes, "bytes", BUILD_BYTES)
        case Check():
            return _sum(sizes, "bytes", SCAN_BYTES)
        case Ddl(scans=True):
            return _sum(sizes, "bytes", SCAN_BYTES)
        case Brownout():
            return step.seconds
        case Ddl() | Autocommit() | DropIndex() | Replicate() | EndReplication() | Compare() | Switch():
            return None


def _sum(sizes: list[Size], of: str, rate: float) -> float | None:
    return sum(getattr(size, of) for size in sizes) / rate if sizes else None
