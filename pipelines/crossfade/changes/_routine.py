"""CREATE FUNCTION or PROCEDURE as an author wrote it: parsed, and named as the catalog names what it makes."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from json import JSONDecodeError
from typing import Annotated

import postgast
from postgast import pg_query_pb2 as pg
from pydantic import AfterValidator

from crossfade.catalog.model import Function, Name
from crossfade.changes._context import Context
from crossfade.composing import sql
from crossfade.spec.fragment import trusted
from crossfade.steps.compose import identifier

_INPUT = (pg.FUNC_PARAM_IN, pg.FUNC_PARAM_INOUT, pg.FUNC_PARAM_VARIADIC, pg.FUNC_PARAM_DEFAULT)
_PSEUDO = {
    "any", "anyarray", "anycompatible", "anycompatiblearray", "anycompatiblemultirange", "anycompatiblenonarray",
    "anycompatiblerange", "anyelement", "anyenum", "anymultirange", "anynonarray", "anyrange", "cstring", "internal",
    "record", "void", "trigger", "event_trigger",
}  # fmt: skip


def _one_routine(text: str) -> str:
    try:
        statements = postgast.parse(text).stmts
        if len(statements) != 1 or not statements[0].stmt.HasField("create_function_stmt"):
            raise ValueError("one CREATE FUNCTION or CREATE PROCEDURE statement stands here")
        _parse_body(text, statements[0].stmt.create_function_stmt)
    except postgast.PgQueryError as error:
        raise ValueError(f"not SQL: {error.message}") from None
    return text.strip().rstrip(";")


def _parse_body(text: str, statement: pg.CreateFunctionStmt) -> None:
    """Its body too, where it is in a language that we can read."""
    options = {option.def_elem.defname: option.def_elem.arg for option in statement.options}
    if "as" not in options:
        return
    body = options["as"].list.items[0].string.sval
    match options["language"].string.sval.lower() if "language" in options else "sql":
        case "sql":
            postgast.parse(body)
        case "plpgsql":
            with suppress(JSONDecodeError):  # it was parsed; how that is printed is no concern here
                postgast.parse_plpgsql(text)
        case _:
            pass


Definition = Annotated[str, AfterValidator(_one_routine)]


def _signature(text: str) -> str:
    try:
        statements = postgast.parse(_as_definition(text)).stmts
    except postgast.PgQueryError:
        statements = ()
    if len(statements) != 1 or not statements[0].stmt.HasField("create_function_stmt"):
        raise ValueError(
            "a function is named with its argument types, as in full_name(text, text), or by its name alone"
        )
    return text.strip()


def _as_definition(signature: str) -> str:
    arguments = "" if "(" in signature else "()"
    return f"CREATE FUNCTION {signature}{arguments} RETURNS void LANGUAGE sql AS ''"


Signature = Annotated[str, AfterValidator(_signature)]


@dataclass(frozen=True)
class Routine:
    """kind: function or procedure. arguments: types that tell overloads apart, as the catalog has them. shape: its
    parameters and what it returns, which stay when it is replaced. runs_as_owner: under its caller's search_path.
    """

    kind: str
    name: Name
    arguments: str
    shape: tuple[str, ...]
    runs_as_owner: bool

    @classmethod
    def of(cls, context: Context, text: str) -> Routine:
        """Raises Refused for a type that there is not."""
        statement = postgast.parse(text).stmts[0].stmt.create_function_stmt
        *schema, name = (part.string.sval for part in statement.funcname)
        parameters = [each.function_parameter for each in statement.parameters]
        types = [_type(context, each.arg_type) for each in parameters]
        gives = statement.return_type
        return cls(
            kind="procedure" if statement.is_procedure else "function",
            name=Name(schema[0] if schema else context.schema, name),
            arguments=", ".join(type_ for each, type_ in zip(parameters, types, strict=True) if each.mode in _INPUT),
            shape=(
                *(f"{each.name} {type_}" for each, type_ in zip(parameters, types, strict=True)),
                f"{'setof ' if gives.setof else ''}{_type(context, gives)}" if gives.names else "",
            ),
            runs_as_owner=_runs_as_owner(statement),
        )

    @property
    def sql(self) -> sql.Composable:
        """What ALTER and DROP call it."""
        return sql.SQL("{}({})").format(identifier(self.name), trusted(self.arguments))

    def __str__(self) -> str:
        return f"{self.name}({self.arguments})"


def _runs_as_owner(statement: pg.CreateFunctionStmt) -> bool:
    options = [each.def_elem for each in statement.options]
    definer = any(each.defname == "security" and each.arg.boolean.boolval for each in options)
    sets = {each.arg.variable_set_stmt.name for each in options if each.defname == "set"}
    return definer and "search_path" not in sets


def _type(context: Context, written: pg.TypeName) -> str:
    name = pg.TypeName()
    name.CopyFrom(written)
    del name.typmods[:]  # a function takes any length
    last = name.names[-1].string.sval
    if last in _PSEUDO:
        return f"{last}[]" if name.array_bounds else last if last != "any" else '"any"'
    asked = postgast.parse("SELECT NULL::int")
    asked.stmts[0].stmt.select_stmt.target_list[0].res_target.val.type_cast.type_name.CopyFrom(name)
    return context.probe.type(postgast.deparse(asked).removeprefix("SELECT NULL::"))


def replaced_text(text: str) -> str:
    """The same with OR REPLACE, so that the privileges, the owner and what depends on it stay."""
    tree = postgast.parse(text)
    tree.stmts[0].stmt.create_function_stmt.replace = True
    return postgast.deparse(tree)


def found_routine(context: Context, signature: str) -> Function:
    """By its name alone where there is one of that name; refuses one that is not there."""
    asked = named_routine(context, signature)
    named = [each for each in context.catalog.functions.values() if each.name == asked.name]
    only = named[0] if len(named) == 1 else None
    exact = context.catalog.functions.get(str(asked)) if "(" in signature else only
    if exact is None:
        context.refuse(
            f"function {signature} does not exist in schema {asked.name.schema} of {context.database}"
            if not named or "(" in signature
            else f"there are {len(named)} functions {asked.name}",
            fix=f"there are: {'; '.join(map(str, named))}" if named else None,
        )
    return exact


def named_routine(context: Context, signature: str) -> Routine:
    """What a signature names, whether it is there or not."""
    return Routine.of(context, _as_definition(signature))
