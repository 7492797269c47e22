"""A project: found, whole, in order, or refused with every reason."""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from crossfade.spec import Project, ProjectNotFoundError, SpecError, find_root, load_project

from .conftest import Write
from .specs import MINIMAL
from .vocabulary import CHANGES, GATES

Add = Callable[..., Path]
Open = Callable[..., Project]


@pytest.fixture
def add(write: Write) -> Add:
    """Add a spec to the project: its file name, its id, and what it waits for."""
    write("databases.yaml", "profile: {url: env:PROFILE}\nbilling: {url: env:BILLING}\n")

    def add(name: str, migration: str, *after: str, more: str = "") -> Path:
        text = MINIMAL.replace("migration: first", f"migration: {migration}\nafter: [{', '.join(after)}]")
        return write(f"migration_specs/{name}", text + more)

    return add


@pytest.fixture
def project(tmp_path: Path) -> Open:
    """Load the project."""

    def project(*, strict: bool = True) -> Project:
        return load_project(tmp_path, changes=CHANGES, gates=GATES, strict=strict)

    return project


def refusal(project: Open) -> SpecError:
    with pytest.raises(SpecError) as caught:
        project()
    return caught.value


def test_a_project_is_found_from_any_folder_in_it(add: Add, tmp_path: Path) -> None:
    deep = add("team/0001_first.yaml", "first").parent

    assert find_root(deep) == tmp_path


def test_outside_of_a_project_the_way_to_begin_one_is_told(tmp_path: Path) -> None:
    with pytest.raises(ProjectNotFoundError) as caught:
        find_root(tmp_path)

    assert "crossfade init" in str(caught.value)


def test_migrations_are_in_the_order_of_their_file_names_wherever_they_lie(add: Add, project: Open) -> None:
    add("b/0001_one.yaml", "one")
    add("0003_three.yaml", "three")
    add("a/0002_two.yaml", "two")

    assert [migration.id for migration in project().migrations] == ["one", "two", "three"]


def test_what_a_migration_waits_for_comes_before_it_whatever_their_file_names_say(add: Add, project: Open) -> None:
    add("0001_a.yaml", "a", "c")
    add("0002_b.yaml", "b")
    add("0003_c.yaml", "c")
    add("0004_d.yaml", "d")

    assert [migration.id for migration in project().migrations] == ["b", "c", "a", "d"]


def test_a_project_within_a_project_is_left_to_itself(add: Add, project: Open, write: Write) -> None:
    add("0001_one.yaml", "one")
    write("migration_specs/examples/databases.yaml", "app: {url: env:APP}\n")
    add("examples/migration_specs/0001_another.yaml", "another")

    assert [migration.id for migration in project().migrations] == ["one"]


def test_a_project_without_migrations_is_a_project(add: Add, project: Open) -> None:
    assert (project().migrations, list(project().databases)) == ((), ["profile", "billing"])


def test_hidden_files_and_other_kinds_of_file_are_no_specs(add: Add, project: Open, write: Write) -> None:
    add("0001_a.yaml", "a")
    write("migration_specs/.0002_b.yaml", "not: a spec")
    write("migration_specs/.cache/0003_c.yaml", "not: a spec")
    write("migration_specs/notes.txt", "not a spec")

    assert [migration.id for migration in project().migrations] == ["a"]


def test_a_spec_that_would_be_overlooked_for_its_name_is_refused(add: Add, project: Open) -> None:
    add("0001_a.yml", "a")

    assert refusal(project).what == "a migration spec's name ends in .yaml"


def test_two_migrations_of_one_name_are_refused_naming_both_places(add: Add, project: Open) -> None:
    first, second = add("0001_a.yaml", "same"), add("0002_b.yaml", "same")

    (problem,) = refusal(project).problems

    assert problem.what == f"the id `same` is taken: {first}:2:12 has it too"
    assert str(problem.where) == f"{second}:2:12"


def test_a_cycle_is_refused_naming_all_of_it_with_its_files(add: Add, project: Open) -> None:
    add("0001_a.yaml", "a", "c")
    add("0002_b.yaml", "b", "a")
    add("0003_c.yaml", "c", "b")
    add("0004_d.yaml", "d", "c")

    (problem,) = refusal(project).problems

    names = problem.what.removeprefix("migrations wait for each other: ").split(" → ")
    a, b, c = "`a` (0001_a.yaml)", "`b` (0002_b.yaml)", "`c` (0003_c.yaml)"
    assert set(pairwise(names)) == {(a, c), (c, b), (b, a)}


def test_a_migration_that_waits_for_itself_is_a_cycle(add: Add, project: Open) -> None:
    path = add("0001_a.yaml", "a", "a")

    (problem,) = refusal(project).problems

    assert problem.what == "migrations wait for each other: `a` (0001_a.yaml) → `a` (0001_a.yaml)"
    assert str(problem.where) == f"{path}:3:9"


def test_every_cycle_is_reported(add: Add, project: Open) -> None:
    add("0001_a.yaml", "a", "b")
    add("0002_b.yaml", "b", "a")
    add("0003_c.yaml", "c", "c")

    assert len(refusal(project).problems) == 2


def test_an_unknown_name_in_after_is_refused_with_the_nearest_one(add: Add, project: Open) -> None:
    add("0001_a.yaml", "users_baseline")
    path = add("0002_b.yaml", "b", "users_basline")

    (problem,) = refusal(project).problems

    assert problem.what == "`after` names `users_basline`, which is no migration here"
    assert str(problem.where) == f"{path}:3:9"
    assert problem.fix is not None
    assert problem.fix.startswith("did you mean `users_baseline`?")


@pytest.mark.parametrize(
    ("said", "what"),
    [
        ("[{service: api, databases: [billing]}]", "`api` is said to work with `billing`, which this migration"),
        ("[{service: api}, {service: api, databases: [profile]}]", "`api` is named twice for one database"),
    ],
)
def test_what_is_said_of_services_fits_the_databases_that_change(add: Add, project: Open, said: str, what: str) -> None:
    add("0001_a.yaml", "a", more=f"applications: {said}\n")

    assert refusal(project).what.startswith(what)


def test_an_unknown_database_is_refused_wherever_it_is_named(add: Add, project: Open) -> None:
    more = "  - change_column: {table: x, column: y, to: nothing, database: biling}\n"
    path = add("0001_a.yaml", "a", more=more)
    path.write_text(path.read_text().replace("database: profile", "database: profiles"))

    found = refusal(project).problems

    assert [problem.what for problem in found] == [
        "`profiles` is no database of this project",
        "`biling` is no database of this project",
    ]
    assert [problem.where and (problem.where.line, problem.where.column) for problem in found] == [
        (5, 11),
        (9, 65),
    ]
    assert [problem.fix and problem.fix.split("?")[0] for problem in found] == [
        "did you mean `profile`",
        "did you mean `billing`",
    ]


def test_the_problems_of_all_files_are_reported_together(add: Add, project: Open) -> None:
    add("0001_a.yaml", "a", more="unknown: 1\n")
    add("0002_b.yaml", "b", "nowhere")
    add("0003_c.yaml", "c", "c")

    files = [problem.where.file.name for problem in refusal(project).problems if problem.where]

    assert files == ["0001_a.yaml", "0002_b.yaml", "0003_c.yaml"]


def test_a_name_that_only_a_broken_file_bears_is_not_called_unknown(add: Add, project: Open) -> None:
    add("0001_a.yaml", "a", more="unknown: 1\n")
    add("0002_b.yaml", "b", "a")

    assert [problem.what for problem in refusal(project).problems] == ["unknown key `unknown` in the file"]


def test_when_it_need_not_be_whole_sound_migrations_are_given_beside_the_broken_ones(add: Add, project: Open) -> None:
    add("0001_a.yaml", "a")
    add("0002_b.yaml", "b", more="unknown: 1\n")
    add("0003_c.yaml", "c", "b")
    add("0004_d.yaml", "d", "d")
    add("0005_e.yaml", "same")
    add("0006_f.yaml", "same")
    add("0007_g.yaml", "g", "nowhere")

    loaded = project(strict=False)

    assert [migration.id for migration in loaded.migrations] == ["a", "c"]
    assert [error.what.split(" `")[0] for error in loaded.broken] == [
        "unknown key",
        "the id",
        "`after` names",
        "migrations wait for each other:",
    ]


def test_databases_that_cannot_be_read_are_refused_even_then(write: Write, project: Open) -> None:
    write("databases.yaml", "profile: {}\n")

    with pytest.raises(SpecError, match="`profile` has no `url`"):
        project(strict=False)


@pytest.mark.parametrize("text", ["hello\n", "5\n", "- hello\n", "true\n", "[[hello]]\n"])
def test_a_file_that_is_no_mapping_is_refused_in_words(add: Add, project: Open, write: Write, text: str) -> None:
    add("a.yaml", "a")
    write("migration_specs/word.yaml", text)

    assert "word.yaml:1:" in str(refusal(project))


def test_a_spec_that_is_not_a_plain_file_is_told_and_not_passed_over(add: Add, project: Open, tmp_path: Path) -> None:
    add("a.yaml", "a")
    (tmp_path / "migration_specs" / "gone.yaml").symlink_to("nowhere.yaml")
    os.mkfifo(tmp_path / "migration_specs" / "pipe.yaml")

    told = str(refusal(project))

    assert "gone.yaml" in told
    assert "pipe.yaml:1:1: the file cannot be read: it is not a plain file" in told


def test_a_file_far_larger_than_any_spec_is_not_parsed(add: Add, project: Open, write: Write) -> None:
    add("a.yaml", "a")
    write("migration_specs/huge.yaml", "A" * 5_000_000)

    assert "it has 5,000,000 bytes" in str(refusal(project))
