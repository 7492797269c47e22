"""A YAML file as plain data that remembers where in the text each key and value stands.

It is YAML 1.1 without its surprises: only true and false are booleans, only plain decimals are numbers
(`09:00`, `010`, `1e3`, `no`, `2024-01-01` stay text), a key is always text and may be given once.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias, cast

import yaml
from yaml.reader import Reader

from crossfade.errors import Position, Problem
from crossfade.spec.errors import SpecError
from crossfade.spec.scalars import index_in_source
from crossfade.spec.yaml_syntax import syntax_problem

Data: TypeAlias = "dict[str, Data] | list[Data] | str | int | float | bool | None"
DataPath: TypeAlias = tuple[str | int, ...]

_TAG = "tag:yaml.org,2002:"
_DECIMAL = r"[-+]?(?:0|[1-9][0-9_]{0,40})"
_PLAIN = {
    "null": (re.compile(r"(?:~|null|Null|NULL|)\Z"), ["~", "n", "N", ""]),
    "bool": (re.compile(r"(?:true|True|TRUE|false|False|FALSE)\Z"), list("tTfF")),
    "int": (re.compile(_DECIMAL + r"\Z"), list("-+0123456789")),
    "float": (re.compile(_DECIMAL + r"\.[0-9]{1,40}\Z"), list("-+0123456789")),
    "merge": (re.compile(r"<<\Z"), ["<"]),
}
_RESOLVERS = {
    first: [(_TAG + kind, pattern) for kind, (pattern, firsts) in _PLAIN.items() if first in firsts]
    for first in {first for _, firsts in _PLAIN.values() for first in firsts}
}

# Far above any spec, far below what aliases of aliases can blow up to.
_MOST_VALUES = 100_000
_DEEPEST = 100
_MOST_BYTES = 4 * 2**20


@dataclass(frozen=True)
class Document:
    """A parsed file.

    where: the position of each value; of a block mapping that is its first key.
    keys: the position of each key, under the path of its value.
    written: how a value that is not text is spelled in the file, e.g. `2.10` for the number 2.1.
    """

    path: Path
    text: str
    data: Data
    where: Mapping[DataPath, Position]
    keys: Mapping[DataPath, Position]
    written: Mapping[DataPath, str]

    def at(self, path: DataPath) -> Data:
        """The value at `path`; None where there is none."""
        return look(self.data, path)

    def position(self, path: DataPath) -> Position:
        """Where the value at `path` stands, or the nearest mapping or list around it."""
        while path and path not in self.where:
            path = path[:-1]
        return self.where.get(path, Position(self.path))

    def key(self, path: DataPath) -> Position:
        """Where the key of `path` stands; a list's entry has no key, so there it is the value's place."""
        return self.keys.get(path) or self.position(path)

    def inside(self, path: DataPath, offset: int) -> Position:
        """Where character `offset` (from 0) of the text at `path` stands, whatever its style of quoting."""
        start, value = self.position(path), self.at(path)
        if not isinstance(value, str):
            return start
        lines = self.text.splitlines(keepends=True)
        begin = sum(map(len, lines[: start.line - 1])) + start.column - 1
        index = index_in_source(self.text, begin, value, offset)
        line = self.text.count("\n", 0, index) + 1
        return Position(self.path, line, index - self.text.rfind("\n", 0, index))


def read_document(path: Path) -> Document:
    """Read and parse a file; raises SpecError when it cannot be read or is not one document of our YAML."""
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):  # a pipe would be waited for
            raise _unreadable(path, "it is not a plain file")
        if found.st_size > _MOST_BYTES:
            raise _unreadable(path, f"it has {found.st_size:,} bytes, and a spec at most {_MOST_BYTES:,}")
        raw = path.read_bytes()
    except FileNotFoundError:
        raise SpecError(
            "there is no such file", where=Position(path), fix="check the path; it may have been renamed"
        ) from None
    except OSError as error:
        raise _unreadable(path, error.strerror or "") from None
    return parse_document(_decoded(raw, path), path)


def _unreadable(path: Path, why: str) -> SpecError:
    return SpecError(
        f"the file cannot be read: {why}",
        where=Position(path),
        fix="crossfade needs a plain file that its user may read",
    )


def parse_document(text: str, path: Path) -> Document:
    """Parse text that stands in `path`; raises SpecError with every place that is wrong."""
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    if control := Reader.NON_PRINTABLE.search(text):
        raise SpecError(
            f"a control character (U+{ord(control[0]):04X}) stands in the text",
            where=_position_of(text, control.start(), path),
            why="YAML allows only printable characters, and nobody could review this one",
            fix=r'delete it, or write it as an escape in double quotes, such as "\x07"',
        )
    builder = _Builder(path)
    try:
        root = _root(text)
        data = builder.build(root, ()) if root else None
    except yaml.MarkedYAMLError as error:
        raise SpecError.of([syntax_problem(error, text, path)]) from None
    except RecursionError:
        raise SpecError.of([_too_deep(Position(path))]) from None
    if root is None:
        raise SpecError(
            "the file is empty",
            where=Position(path),
            fix="write it, or delete the file (an example of a migration spec is in docs/language.md)",
        )
    if builder.problems:
        raise SpecError.sorted(builder.problems)
    return Document(path, text, data, builder.where, builder.keys, builder.written)


def look(data: Data, path: DataPath) -> Data:
    """What stands at `path` in `data`; None where there is nothing, or data of another shape."""
    for part in path:
        if isinstance(data, dict) and isinstance(part, str):
            data = data.get(part)
        elif isinstance(data, list) and isinstance(part, int) and part < len(data):
            data = data[part]
        else:
            return None
    return data


def _root(text: str) -> yaml.Node | None:
    """The tree of nodes. PyYAML is never asked to make objects of them, so no tag can do anything."""
    loader = yaml.CSafeLoader(text) if yaml.__with_libyaml__ else yaml.SafeLoader(text)
    loader.yaml_implicit_resolvers = _RESOLVERS
    return loader.get_single_node()


class _Builder:
    """Turns nodes into data, and notes where everything stands."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.where: dict[DataPath, Position] = {}
        self.keys: dict[DataPath, Position] = {}
        self.written: dict[DataPath, str] = {}
        self.problems: list[Problem] = []

    def build(self, node: yaml.Node, path: DataPath) -> Data:
        if len(path) > _DEEPEST or len(self.where) > _MOST_VALUES:
            # Deeper than anyone writes: an alias inside of what it names, or aliases of aliases.
            if not self.problems:
                self.problems.append(_too_deep(self._position(node)))
            return None
        self.where[path] = self._position(node)
        tag = node.tag.removeprefix(_TAG)
        if isinstance(node, yaml.MappingNode) and tag == "map":
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode) and tag == "seq":
            entries = cast(list[yaml.Node], node.value)
            return [self.build(entry, (*path, index)) for index, entry in enumerate(entries)]
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(tag, cast(str, node.value), node, path)
        return self._refuse_tag(node)

    def _mapping(self, node: yaml.MappingNode, path: DataPath) -> dict[str, Data]:
        data: dict[str, Data] = {}
        merged: list[yaml.Node] = []
        for key, value in cast(list[tuple[yaml.Node, yaml.Node]], node.value):
            if not isinstance(key, yaml.ScalarNode):
                self._refuse(key, "a key is text, not a list or mapping", fix="write the key as one word")
            elif key.tag == _TAG + "merge":
                merged += value.value if isinstance(value, yaml.SequenceNode) else [value]
            elif (name := cast(str, key.value)) in data:
                first = self.keys[(*path, name)]
                self._refuse(
                    key,
                    f"key `{name}` is given twice; first in line {first.line}",
                    why="only one of them could count, and which one is easily misread",
                    fix="keep the one that is meant",
                )
            else:
                self.keys[(*path, name)] = self._position(key)
                data[name] = self.build(value, (*path, name))
        for source in merged:
            self._merge(source, data, path)
        return data

    def _merge(self, source: yaml.Node, data: dict[str, Data], path: DataPath) -> None:
        """`<<: *defaults`: what the mapping itself says wins, then what is merged first."""
        if not isinstance(source, yaml.MappingNode):
            self._refuse(source, "`<<` wants a mapping to merge", fix="name a mapping: `<<: *anchor`")
            return
        pairs = cast(list[tuple[yaml.Node, yaml.Node]], source.value)
        missing = [pair for pair in pairs if not (isinstance(pair[0], yaml.ScalarNode) and pair[0].value in data)]
        data |= self._mapping(yaml.MappingNode(source.tag, missing), path)

    def _scalar(self, tag: str, text: str, node: yaml.ScalarNode, path: DataPath) -> Data:
        if tag != "str":
            self.written[path] = text
        match tag:
            case "str" | "merge":
                return text
            case "null":
                return None
            case "bool" if text.lower() in {"true", "false"}:
                return text.lower() == "true"
            case "int" if _PLAIN["int"][0].match(text):
                return int(text.replace("_", ""))
            case "float" if _PLAIN["float"][0].match(text):
                return float(text.replace("_", ""))
            case _:
                return self._refuse_tag(node)

    def _refuse_tag(self, node: yaml.Node) -> None:
        self._refuse(
            node,
            "a YAML tag (`!...`) has no meaning here",
            why="the language has only text, numbers, true, false, lists and mappings",
            fix="delete the tag; put text that looks like a number in quotes",
        )

    def _refuse(self, node: yaml.Node, what: str, *, fix: str, why: str | None = None) -> None:
        self.problems.append(Problem(what, self._position(node), why, fix))

    def _position(self, node: yaml.Node) -> Position:
        return Position(self.path, node.start_mark.line + 1, node.start_mark.column + 1)


def _decoded(raw: bytes, path: Path) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode("utf-8-sig")
        raise SpecError(
            "the file is not UTF-8 text",
            where=_position_of(before, len(before), path),
            why=f"byte 0x{raw[error.start]:02X} does not begin a character",
            fix="save the file with the encoding UTF-8",
        ) from None


def _position_of(text: str, index: int, path: Path) -> Position:
    return Position(path, text.count("\n", 0, index) + 1, index - text.rfind("\n", 0, index))


def _too_deep(where: Position) -> Problem:
    return Problem(
        "the file is nested too deeply, or its aliases repeat themselves without end",
        where,
        fix="write out what the alias stands for",
    )
