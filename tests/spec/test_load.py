"""A migration spec as a whole: its head, its changes, its gates, its stages."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from crossfade.errors import Position
from crossfade.spec import Expression, GatePoint, Migration, SpecError, Vocabulary, load_migration
from crossfade.spec.model import Moment, Phase, Stage

from .conftest import Load, Refuse, Write
from .specs import MINIMAL, SAMPLE
from .vocabulary import CHANGES, GATES, ApprovalGate, Approvers, ChangeColumn, Target, UnusedGate


def test_the_example_of_the_language_loads_whole(load: Load) -> None:
    migration = load(SAMPLE)

    assert migration.id == "normalize_emails"
    assert migration.head.after == ("users_baseline",)
    assert [change.body for change in migration.changes] == [
        ChangeColumn(
            table="users",
            column="email",
            to=Target(type="text", nullable=False, unique=True),
            up=Expression("lower(email)"),
            down=Expression("email"),
            strategy="swap",
            enforce="validate",
        )
    ]
    assert {str(point): [gate.kind for gate in gates] for point, gates in migration.gates.items()} == {
        "before expand": ["suite"],
        "after backfill": ["suite"],
        "before contract": ["soak", "unused", "approval", "flag", "deployed"],
    }
    assert [(stage.stage, stage.options.after.days) for stage in migration.stages] == [
        ("cutover", 0),
        ("retire", 0),
        ("archive", 7),
        ("drop", 7),
    ]


def test_a_spec_may_say_no_more_than_it_must(load: Load) -> None:
    migration = load(MINIMAL)

    assert migration.gates == {}
    assert [stage.stage for stage in migration.stages] == ["retire", "archive", "drop"]
    assert migration.head.backfill.target == timedelta(milliseconds=500)


def test_changes_and_gates_know_where_they_stand(load: Load) -> None:
    migration = load(SAMPLE)

    soak = migration.gates[GatePoint("contract", "before")][0]
    assert migration.changes[0].where == Position(migration.path, 10, 5)
    assert soak.where == Position(migration.path, 28, 8)
    assert migration.position("changes", 0, "change_column", "up") == Position(migration.path, 14, 11)


def test_only_the_kinds_in_use_are_asked_for(write: Write) -> None:
    def never() -> type[ChangeColumn]:
        raise AssertionError("imported without need")

    changes = Vocabulary({**CHANGES.models, "unused_kind": never})

    assert load_migration(write("spec.yaml", SAMPLE), changes=changes, gates=GATES).id == "normalize_emails"


def test_the_digest_is_over_the_values_not_the_text(load: Load) -> None:
    reworded = SAMPLE.replace("# SQL over the old row -> new value", "# anything").replace("10s, b", "10s,   b")

    assert load(reworded).digest == load(SAMPLE).digest
    assert load(SAMPLE.replace("workers: 2", "workers: 3")).digest != load(SAMPLE).digest


def test_windows_line_ends_do_not_change_the_text_or_the_digest(load: Load) -> None:
    plain, windows = load(MINIMAL), load("\ufeff" + MINIMAL.replace("\n", "\r\n"))

    assert (windows.text, windows.digest) == (plain.text, plain.digest)


def test_a_gate_is_checked_as_the_whole_mapping_of_its_kind(load: Load) -> None:
    migration = load(SAMPLE)

    bodies = [gate.body for gate in migration.gates[GatePoint("contract", "before")]]
    assert bodies[1] == UnusedGate.model_validate({"unused": "users.email", "for": "24h"})
    assert bodies[2] == ApprovalGate(approval=Approvers.model_validate({"from": "team-identity", "count": 2}))


def test_the_name_of_one_gate_may_be_an_option_of_another(load: Load) -> None:
    migration = load(MINIMAL + "gates: {expand: [{suite: s, unused: users.email, for: 1d}]}")

    assert [gate.kind for gate in migration.gates[GatePoint("expand", "before")]] == ["unused"]


@pytest.mark.parametrize(
    ("phase", "moment"),
    [("expand", "before"), ("backfill", "after"), ("validate", "after"), ("contract", "before")],
)
def test_a_plain_list_of_gates_stands_where_the_phase_is_entered_or_left(
    load: Load, phase: Phase, moment: Moment
) -> None:
    migration = load(MINIMAL + f"gates: {{{phase}: [{{soak: 1d}}]}}")

    assert list(migration.gates) == [GatePoint(phase, moment)]


def test_gates_may_say_their_moment_themselves(load: Load) -> None:
    migration = load(MINIMAL + "gates: {expand: {before: [{soak: 1d}], after: [{suite: s}, {flag: f}]}}")

    assert {point: len(gates) for point, gates in migration.gates.items()} == {
        GatePoint("expand", "before"): 1,
        GatePoint("expand", "after"): 2,
    }


@pytest.mark.parametrize(
    ("gates", "moment"),
    [("[{soak: 1d}]", "before"), ("{before: [{soak: 1d}]}", "before"), ("{after: [{soak: 1d}]}", "after")],
)
def test_a_stage_has_gates_of_its_own(load: Load, gates: str, moment: Moment) -> None:
    migration = load(MINIMAL + f"contract: {{stages: [retire: {{gates: {gates}}}]}}")

    assert list(migration.gates) == [GatePoint("contract", moment, "retire")]


def test_a_stage_without_options_needs_no_braces(load: Load) -> None:
    migration = load(MINIMAL + "contract:\n  stages:\n    - retire:\n    - drop:\n")

    assert [stage.stage for stage in migration.stages] == ["retire", "drop"]


def test_stages_that_a_plan_decides_on_may_be_named_to_give_them_gates(load: Load) -> None:
    stages: tuple[Stage, ...] = ("tighten", "cutover", "retire", "archive", "drop")

    migration = load(MINIMAL + "contract: {stages: [" + ", ".join(f"{stage}: {{}}" for stage in stages) + "]}")

    assert tuple(stage.stage for stage in migration.stages) == stages


@pytest.mark.parametrize(
    ("stages", "problem"),
    [
        ("[drop: {}, retire: {}]", "8:31: stage `retire` comes before `drop`"),
        ("[retire: {}, retire: {}]", "8:33: stage `retire` is given twice"),
        ("[retyre: {}]", "8:21: unknown stage `retyre`"),
        ("[{retire: {}, drop: {}}]", "8:21: a stage is one key, its name; found `retire`, `drop`"),
        ("[drop: {keep: 3d}]", "8:28: `keep` belongs to the stage `archive`, not to `drop`"),
        ("[brownout: {for: 2h}]", "8:37: `for`: a brownout lasts an hour at most"),
        ("[brownout: {at: '25:00'}]", "8:36: `at`: a time of day is written HH:MM"),
        ("[retire: {at: '10:00'}]", "8:30: `at` belongs to the stage `brownout`, not to `retire`"),
        ("[]", "8:20: `stages` wants at least one entry, found a list"),
        ("[retire]", "8:21: entry 1 of `stages` wants a mapping, found the text `retire`"),
    ],
)
def test_stages_out_of_order_or_with_options_of_another_are_refused(refuse: Refuse, stages: str, problem: str) -> None:
    (found,) = refuse(MINIMAL + f"contract: {{stages: {stages}}}")

    assert found.startswith(problem)


def test_an_unknown_kind_of_change_is_refused_with_the_nearest_one(refuse: Refuse) -> None:
    (found,) = refuse(MINIMAL.replace("drop_table", "drop_tabel"))

    assert found == (
        "6:5: unknown kind of change `drop_tabel`\n"
        "  why: the kinds are in docs/changes/README.md\n"
        "  fix: did you mean `drop_table`? known here: change_column, drop_table"
    )


def test_a_change_whose_keys_are_not_indented_below_it_is_told_so(refuse: Refuse) -> None:
    (found,) = refuse(MINIMAL.replace("      table", "    table"))

    assert found.startswith("6:5: nothing stands under `drop_table:`")
    assert found.endswith("fix: indent the keys below it by two more spaces")


def test_two_changes_in_one_entry_are_refused(refuse: Refuse) -> None:
    (found,) = refuse(MINIMAL + "    change_column: {}\n")

    assert found.startswith("6:5: a change is one key, its kind; found `drop_table`, `change_column`")


@pytest.mark.parametrize(
    ("gate", "problem"),
    [
        ("{suit: s}", "8:19: unknown kind of gate `suit`"),
        ("{soak: 1d, flag: f}", "8:18: a gate is of one kind; found `soak`, `flag`"),
        ("{}", "8:18: an empty gate"),
        ("soak", "8:18: entry 1 of `expand` wants a mapping, found the text `soak`"),
        ("{soak: 1 fortnight}", "8:25: `soak`: a duration is a number with a unit"),
        ("{unused: a, fro: 1d}", "8:30: unknown key `fro` in entry 1 of `expand`"),
    ],
)
def test_a_gate_that_is_none_is_refused_at_its_place(refuse: Refuse, gate: str, problem: str) -> None:
    (found,) = refuse(MINIMAL + f"gates: {{expand: [{gate}]}}")

    assert found.startswith(problem)


def test_gates_of_a_phase_that_is_none_are_refused(refuse: Refuse) -> None:
    (found,) = refuse(MINIMAL + "gates: {expnad: []}")

    assert found.startswith("8:9: unknown key `expnad` in `gates`")
    assert "did you mean `expand`? known here: expand, backfill, validate, contract" in found


def test_the_name_of_the_list_itself_is_no_key_of_gates(refuse: Refuse) -> None:
    (found,) = refuse(MINIMAL + "gates: {expand: {plain: []}}")

    assert found.startswith("8:17: `expand`: gates are a plain list, or `before:` and `after:` lists")


def test_all_that_is_wrong_in_a_file_is_reported_in_its_order(refuse: Refuse) -> None:
    found = refuse(
        """\
        crossfade: 1
        migration: First
        titel: The first
        database: profile
        changes:
          - drop_tabel: {}
          - drop_table: {tabel: x}
          - change_column: {table: x, column: y, to: {}, up: "y +"}
        gates: {expand: [{soak: 1}], validate: 5}
        contract:
          window: {days: always}
          stages: [drop: {}, retire: {gates: [{}]}]
        """
    )

    assert [problem.split(": ")[0] for problem in found] == [
        "2:12",  # the id
        "3:1",  # titel
        "6:5",  # drop_tabel
        "7:18",  # tabel
        "8:58",  # the end of up
        "9:25",  # soak
        "9:40",  # validate
        "11:18",  # days
        "12:22",  # retire after drop
        "12:39",  # the empty gate
    ]


def test_a_file_that_is_no_mapping_is_refused(refuse: Refuse) -> None:
    (found,) = refuse("- crossfade: 1\n")

    assert found.startswith("1:1: the file wants a mapping, found a list")


def test_a_broken_spec_still_tells_its_id(write: Write) -> None:
    path = write("spec.yaml", MINIMAL + "unknown: 1\n")

    with pytest.raises(SpecError) as caught:
        load_migration(path, changes=CHANGES, gates=GATES)

    assert caught.value.migration == "first"


def test_the_errors_of_a_file_name_the_file(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=str(tmp_path / "absent.yaml")):
        load_migration(tmp_path / "absent.yaml", changes=CHANGES, gates=GATES)


def test_a_migration_is_a_value(load: Load) -> None:
    migrations: list[Migration] = [load(SAMPLE), load(SAMPLE)]

    assert migrations[0] == migrations[1]


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ("{service: api, without_old: new}", "a version is written like 2.4.0"),
        ("{service: api, reads_new: 2.4.0, without_old: 2.3.0}", "not used before 2.4.0 (`reads_new`)"),
        ("{service: api, path: $.version}", "`path` is of the answer of a `url`"),
        ("{service: api, url: env:X, databases: [profile]}", "`databases` is for sessions only"),
        ("{service: api, writes: 2.4.0}", "unknown key `writes`"),
        ("{without_old: 2.4.0}", "`service`"),
    ],
)
def test_what_cannot_be_meant_of_a_service_is_refused_at_its_place(refuse: Refuse, said: str, problem: str) -> None:
    (found,) = refuse(MINIMAL + f"applications:\n  - {said}\n")

    assert problem in found
    assert found.startswith("9:")
