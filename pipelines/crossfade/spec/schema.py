"""The JSON Schema of the language, made from the models, with which editors complete and check a spec."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any, cast

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, JsonSchemaValue, models_json_schema
from pydantic_core import core_schema

from crossfade.spec.databases import DATABASE_NAME, DatabaseEntry
from crossfade.spec.fleets import FleetEntry
from crossfade.spec.kinds import Kinds
from crossfade.spec.manual import introduction
from crossfade.spec.model import PHASES, STAGES, Contract, GateSet, Head, StageOptions
from crossfade.spec.settings import Settings
from crossfade.spec.values import SpecModel, format_duration

_DRAFT = "https://json-schema.org/draft/2020-12/schema"

Schema = dict[str, Any]


def json_schema(changes: Kinds, gates: Kinds) -> Schema:
    """The schema of a migration spec with all kinds of the two vocabularies."""
    change_models = {kind: changes.model(kind) for kind in sorted(changes.names())}
    gate_models = {kind: gates.model(kind) for kind in sorted(gates.names())}
    refs, definitions = _definitions(
        [Head, Contract, StageOptions, GateSet, *change_models.values(), *gate_models.values()]
    )

    def definition(model: type[BaseModel]) -> Schema:
        # Not by the class's name: a vocabulary may have a class of the same name.
        return definitions[refs[model]["$ref"].removeprefix("#/$defs/")]

    def properties(model: type[BaseModel]) -> Schema:
        return definition(model)["properties"]

    for model in change_models.values():
        definition(model)["description"] = introduction(model)
    # What the models leave open, because the vocabularies are not theirs.
    definitions["change"] = _one_of_keys(
        {
            kind: {**refs[model], "title": kind, "description": introduction(model)}
            for kind, model in change_models.items()
        }
    )
    definitions["gate"] = {"anyOf": [{**refs[model], "title": kind} for kind, model in gate_models.items()]}
    definitions["gates"] = {"anyOf": [_list_of("gate"), refs[GateSet]]}
    definitions["stage"] = _one_of_keys({stage: {"anyOf": [refs[StageOptions], {"type": "null"}]} for stage in STAGES})
    gate_points = {"type": "object", "additionalProperties": False}
    properties(Head)["gates"] = gate_points | {
        "description": "What must hold before or after each phase.",
        "properties": {phase: {"$ref": "#/$defs/gates"} for phase in PHASES},
    }
    properties(Head)["changes"] |= _list_of("change")
    properties(Contract)["stages"] |= _list_of("stage")
    properties(StageOptions)["gates"] = {"$ref": "#/$defs/gates"}
    properties(GateSet).update(before=_list_of("gate"), after=_list_of("gate"))
    del properties(GateSet)["plain"]  # the list itself, which is no key
    head = refs[Head]["$ref"].removeprefix("#/$defs/")
    return {"$schema": _DRAFT, **definitions.pop(head), "title": "crossfade migration", "$defs": definitions}


def databases_schema() -> Schema:
    """The schema of databases.yaml."""
    refs, definitions = _definitions([DatabaseEntry, FleetEntry])
    return {
        "$schema": _DRAFT,
        "title": "crossfade databases",
        "type": "object",
        "propertyNames": {"pattern": DATABASE_NAME},
        "additionalProperties": {
            "if": {"required": ["each"]},
            "then": refs[FleetEntry],
            "else": refs[DatabaseEntry],
        },
        "$defs": definitions,
    }


def project_schema() -> Schema:
    """The schema of crossfade.yaml."""
    refs, definitions = _definitions([Settings])
    head = definitions.pop(refs[Settings]["$ref"].removeprefix("#/$defs/"))
    return {"$schema": _DRAFT, **head, "title": "crossfade project", "$defs": definitions}


class _Generator(GenerateJsonSchema):
    """pydantic's generator, in the spelling of the language and without what only repeats a key's name."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 - as it is overridden
        return False

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        default = schema.get("default")
        if default is None or isinstance(default, (BaseModel, tuple)):
            return self.generate_inner(schema["schema"])
        return super().default_schema(schema)

    def encode_default(self, dft: Any) -> Any:
        return format_duration(dft) if isinstance(dft, timedelta) else super().encode_default(dft)


def _definitions(models: Iterable[type[SpecModel]]) -> tuple[Mapping[type[BaseModel], Schema], Schema]:
    """A reference to each model, and the definitions they refer to."""
    wanted: list[tuple[type[BaseModel], JsonSchemaMode]] = [(model, "validation") for model in models]
    refs, schema = models_json_schema(wanted, by_alias=True, schema_generator=_Generator)
    return {cast(type[BaseModel], model): ref for (model, _), ref in refs.items()}, cast(Schema, schema["$defs"])


def _list_of(definition: str) -> Schema:
    return {"type": "array", "items": {"$ref": f"#/$defs/{definition}"}}


def _one_of_keys(values: Mapping[str, Schema]) -> Schema:
    """A mapping of exactly one key. Editors complete these keys, as they do not in a choice of mappings."""
    return {
        "type": "object",
        "properties": dict(values),
        "additionalProperties": False,
        "minProperties": 1,
        "maxProperties": 1,
    }
