"""catalog: what a database is now, as one typed snapshot, and how two snapshots differ.

`snapshot.read_catalog` reads it from PostgreSQL 14 to 18, and is not imported here: all the rest is frozen values
without I/O, which `check` needs without a driver.
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
    Publication,
    Replica,
    Role,
    Sequence,
    Server,
    Table,
    TableKind,
    Trigger,
    Use,
    View,
)

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
    "Publication",
    "Replica",
    "Role",
    "Sequence",
    "Server",
    "Table",
    "TableKind",
    "Trigger",
    "UnsupportedServer",
    "Use",
    "View",
    "diff",
]
