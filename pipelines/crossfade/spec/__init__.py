"""The language: specs, databases.yaml and crossfade.yaml, read with positions and checked with errors that teach.

Knows no kind of change or gate by itself (they are given as `Kinds`) and no database (nothing here connects).
"""

from crossfade.spec.databases import Database, DatabaseAddressError, load_databases, search_path
from crossfade.spec.document import Document, parse_document, read_document
from crossfade.spec.errors import SpecError, did_you_mean, nearest
from crossfade.spec.fleets import Fleet, Member, Wave
from crossfade.spec.fragment import Expression, FragmentError
from crossfade.spec.kinds import Kinds, PackageKinds, Vocabulary
from crossfade.spec.load import check_migration, load_migration
from crossfade.spec.model import Entry, GatePoint, Head, Migration, StageSpec
from crossfade.spec.project import Project, ProjectNotFoundError, find_root, load_project
from crossfade.spec.settings import Settings
from crossfade.spec.values import Duration, Identifier, MigrationId, Size, SpecModel
from crossfade.spec.window import Window

__all__ = [
    "Database",
    "DatabaseAddressError",
    "Document",
    "Duration",
    "Entry",
    "Expression",
    "Fleet",
    "FragmentError",
    "GatePoint",
    "Head",
    "Identifier",
    "Kinds",
    "Member",
    "Migration",
    "MigrationId",
    "PackageKinds",
    "Project",
    "ProjectNotFoundError",
    "Settings",
    "Size",
    "SpecError",
    "SpecModel",
    "StageSpec",
    "Vocabulary",
    "Wave",
    "Window",
    "check_migration",
    "did_you_mean",
    "find_root",
    "load_databases",
    "load_migration",
    "load_project",
    "nearest",
    "parse_document",
    "read_document",
    "search_path",
]
