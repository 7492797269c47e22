"""catalog: what a database is now, as one typed snapshot, and how two snapshots differ.

`read_catalog` reads it from PostgreSQL 14 to 18; everything after that is frozen values and no I/O.
"""

from crossfade.catalog.drift import Difference, diff
from crossfade.catalog.errors import CatalogLocked, UnsupportedServer
from crossfade.catalog.model import (
    Catalog,
    Column,
    Composite,
    Constraint,
    ConstraintKind,
    Dependent,
    Domain,
    Enum,
    ForeignKey,
    Function,
    Identity,
    Index,
    Name,
    Policy,
    Replica,
    Role,
    Sequence,
    Server,
    Table,
    TableKind,
    Trigger,
    View,
)
from crossfade.catalog.snapshot import read_catalog

__all__ = [
    "Catalog",
    "CatalogLocked",
    "Column",
    "Composite",
    "Constraint",
    "ConstraintKind",
    "Dependent",
    "Difference",
    "Domain",
    "Enum",
    "ForeignKey",
    "Function",
    "Identity",
    "Index",
    "Name",
    "Policy",
    "Replica",
    "Role",
    "Sequence",
    "Server",
    "Table",
    "TableKind",
    "Trigger",
    "UnsupportedServer",
    "View",
    "diff",
    "read_catalog",
]
