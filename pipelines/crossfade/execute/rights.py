"""A right that was lost on the way, told at its step as planning would tell it."""

from __future__ import annotations

import psycopg
from psycopg import errors, sql

from crossfade.catalog.errors import CatalogLocked
from crossfade.catalog.snapshot import read_catalog
from crossfade.execute.site import Site
from crossfade.plan.rights import MISSING_RIGHT, ownership_hazards, rights_hazards
from crossfade.server_words import needed_right
from crossfade.steps.step import AnyStep


def missing_right(site: Site, step: AnyStep, failure: errors.InsufficientPrivilege) -> str:
    """The statement that gives the role what the step was refused for."""
    try:
        catalog = read_catalog(site.work, schemas={lock.relation.schema_name for lock in step.locks})
    except (psycopg.Error, CatalogLocked):  # the refusal is what is to be told
        return needed_right(failure)
    found = [
        *ownership_hazards(site.name, catalog, (lock.relation for lock in step.locks)),
        *rights_hazards(site.name, catalog, (step,)),
    ]
    lacking = dict.fromkeys(hazard.fix for hazard in found if hazard.code == MISSING_RIGHT and hazard.fix)
    return "; ".join(lacking) or needed_right(failure, sql.Identifier(catalog.role.name).as_string(None))
