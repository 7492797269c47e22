"""Where a character of a YAML scalar stands in the source text, for errors inside of SQL fragments.

Folding, indentation and line breaks only ever change white space. So the n-th character that is not white
space in the value is the n-th such character in the source, in any style of quoting.
"""

from __future__ import annotations

import re

_PROPERTIES = re.compile(r"(?:[&!]\S*\s+)+")  # an anchor or a tag before the value
_ESCAPED_SPACE = r"\\[ \t\ntnvfr_NLP]"
_VISIBLE = {
    "'": re.compile(r"''|\S"),
    '"': re.compile(rf"(?P<skip>{_ESCAPED_SPACE})|\\(?:x\w{{2}}|u\w{{4}}|U\w{{8}}|.)|\S"),
}
_ANY = re.compile(r"\S")


def index_in_source(text: str, begin: int, value: str, offset: int) -> int:
    """The index in `text` of character `offset` of `value`, whose source begins at `begin`.

    At the end of the value, and for white space, it is the place right after the character before.
    """
    if properties := _PROPERTIES.match(text, begin):
        begin = properties.end()
    opening = text[begin : begin + 1]
    if opening in {"|", ">"}:
        begin = text.find("\n", begin) + 1
    elif opening in _VISIBLE:
        begin += 1
    wanted = len("".join(value[:offset].split()))
    at_visible = offset < len(value) and not value[offset].isspace()
    end = begin
    for match in _VISIBLE.get(opening, _ANY).finditer(text, begin):
        if match.lastgroup == "skip":
            continue
        if wanted == 0:
            return match.start() if at_visible else end
        wanted -= 1
        end = match.end()
    return end
