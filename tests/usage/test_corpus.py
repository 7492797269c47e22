"""What is found in statements whose use of columns was written down by hand."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from crossfade.catalog import Catalog, Name
from crossfade.usage import Found, Reader


@dataclass(frozen=True)
class Labelled:
    """A statement, with columns as `table.column` of the schema public."""

    sql: str
    reads: str = ""
    writes: str = ""
    suspect: str = ""
    missed: str = ""


CORPUS = [Labelled(**entry) for entry in yaml.safe_load((Path(__file__).parent / "corpus.yaml").read_text())]


@pytest.fixture(scope="session")
def reader(catalog: Catalog) -> Reader:
    return Reader(catalog, ("public",))


def said(found: Found, how: str) -> list[str]:
    return sorted(f"{use.table.name}.{use.column}" for use in found.uses if use.how == how)


@pytest.mark.parametrize("labelled", CORPUS, ids=lambda labelled: labelled.sql)
def test_each_statement_uses_what_its_label_says_and_nothing_else(reader: Reader, labelled: Labelled) -> None:
    found = reader.read(labelled.sql)

    assert said(found, "reads") == sorted(labelled.reads.split())
    assert said(found, "writes") == sorted(labelled.writes.split())


@pytest.mark.parametrize("labelled", CORPUS, ids=lambda labelled: labelled.sql)
def test_a_statement_is_suspect_where_it_could_not_be_resolved(reader: Reader, labelled: Labelled) -> None:
    suspected = reader.read(labelled.sql).suspects(Name("public", "users"), "email")

    assert suspected == (labelled.suspect == "users.email")


def test_the_corpus_is_large_and_its_misses_are_in_text_that_nobody_can_resolve() -> None:
    assert len({labelled.sql for labelled in CORPUS}) >= 140
    assert [labelled.sql for labelled in CORPUS if labelled.missed] == [
        "DO 'DECLARE r record; BEGIN SELECT * INTO r FROM users; END'"
    ]
