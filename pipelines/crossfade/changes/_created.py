"""What kinds share that make a new type or sequence."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NoReturn

from crossfade.catalog.grants import LETTERS
from crossfade.catalog.model import Composite, Domain, Enum, Name
from crossfade.changes._change import Compiled
from crossfade.changes._context import Context
from crossfade.changes._instant import instant
from crossfade.changes._rights import missing_right
from crossfade.composing import sql
from crossfade.spec.errors import did_you_mean
from crossfade.spec.fragment import trusted
from crossfade.steps.compose import identifier
from crossfade.steps.step import EXPAND


def new_name(context: Context, written: str, key: str) -> Name:
    """The qualified name of something that is to be made; refuses one that is taken. key: that says it."""
    name, catalog = context.name(written), context.catalog
    if "." in name.name:
        context.refuse(
            f"schema {name.name.partition('.')[0]} does not exist in database {context.database}",
            fix="create the schema first, with a `sql` change in a migration that comes before",
            at=(key,),
        )
    if any(name in taken for taken in (catalog.tables, catalog.views, catalog.sequences, catalog.types)):
        context.refuse(f"{name} exists already", fix="choose another name", at=(key,))
    return name


def usable_by_all(context: Context) -> tuple[str, ...]:
    """What PostgreSQL grants on a type that the role makes, as the catalog has it."""
    return (f"={LETTERS['USAGE']}/{context.catalog.role.name}",)


def made(
    context: Context,
    name: Name,
    word: str,
    statements: Sequence[sql.Composable],
    comment: str | None,
    type_: Enum | Domain | Composite | None = None,
) -> Compiled:
    """In expand. word: what it is, as SQL calls it: TYPE, DOMAIN, SEQUENCE. type_: as the catalog will have it."""
    told = [sql.SQL("COMMENT ON {} {} IS {}").format(trusted(word), identifier(name), sql.Literal(comment))]
    called = word.lower()
    step = instant(
        context,
        EXPAND,
        f"{name}/create/{called}",
        f"create {called} {name}",
        [*statements, *(told if comment is not None else ())],
        [sql.SQL("DROP {} IF EXISTS {}").format(trusted(word), identifier(name))],
        f"drop {called} {name}",
    )
    return Compiled(
        steps=(step,),
        types=(type_,) if type_ is not None else (),
        hazards=missing_right(context, name.schema, f"a {called}"),
    )


def refuse_missing(context: Context, what: str, name: Name, known: Iterable[Name], key: str) -> NoReturn:
    """Nothing of that kind bears the name. key: that says it."""
    near = did_you_mean(name.name, [each.name for each in known if each.schema == name.schema])
    context.refuse(f"{what} {name} does not exist in database {context.database}", fix=near, at=(key,))
