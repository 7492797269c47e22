"""What nobody expected is one line, a file, and no secret; what ends a pipe is no failure."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from tests.cli.calls import Call, environment
from tests.cli.specs import users
from tests.scene import Scene

from crossfade.cli.app import main
from crossfade.cli.failure import told, without_secrets

SECRET = "hunter2-and-more"


def test_a_defect_is_one_line_and_its_traceback_a_file_without_secrets(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    users(scene)
    monkeypatch.chdir(scene.root)
    monkeypatch.setenv("OTHER_URL", f"postgresql://me:{SECRET}@host/db")
    monkeypatch.setattr(sys, "argv", ["crossfade", "status"])

    def broken(_project: object) -> None:
        try:
            raise KeyError(f"password={SECRET}")
        except KeyError as error:
            raise RuntimeError(f"postgresql://me:{SECRET}@host/db and {SECRET}") from error

    monkeypatch.setattr("crossfade.execute.status.read_status", broken)

    with pytest.raises(SystemExit) as ended:
        main()

    said = capsys.readouterr()
    (log,) = (scene.root / ".crossfade").glob("crash-*.log")
    assert ended.value.code == 1
    assert said.err.startswith("error: this is a defect of crossfade")
    assert f".crossfade/{log.name}" in said.err
    assert len(said.err.splitlines()) == 1
    kept = log.read_text()
    assert "in broken" in kept
    assert "KeyError" in kept
    assert SECRET not in said.out + said.err + kept


def test_an_error_of_the_server_is_told_without_the_values_of_rows(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    scene.sql("CREATE TABLE t (email text UNIQUE); INSERT INTO t VALUES ('secret@example.com')")

    with pytest.raises(psycopg.Error) as caught:
        scene.sql("INSERT INTO t VALUES ('secret@example.com')")

    assert told(caught.value) == 1
    said = capsys.readouterr().err
    assert "unique violation (constraint " in said
    assert "SQLSTATE 23505" in said
    assert "secret@example.com" not in said


@pytest.mark.parametrize(
    "text",
    [
        f"postgresql://me:{SECRET}@host/db",
        f"host=h password={SECRET} dbname=d",
        f"Password = '{SECRET}'",
    ],
)
def test_passwords_are_taken_out_of_any_text(text: str) -> None:
    assert SECRET not in without_secrets(text)
    assert "***" in without_secrets(text)


def test_a_file_that_cannot_be_written_is_told_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    result = Call(tmp_path)("schema", "--write", str(tmp_path / "file" / "below"))

    assert result.exit_code == 1
    assert "Not a directory" in result.stderr


def test_a_reader_that_stops_reading_is_no_defect(scene: Scene) -> None:
    users(scene)
    program = "import sys; from crossfade.cli import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", program, "--project", str(scene.root), "schema"],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()

    assert "defect" not in process.stderr.read()
    process.wait(60)


@pytest.mark.parametrize("command", [["status"], ["plan", "m"], ["plan", "m", "--format", "json"]])
def test_a_program_whose_reader_went_away_ends_as_a_shell_says_of_sigpipe_without_a_word(
    scene: Scene, command: list[str]
) -> None:
    users(scene)
    process = Call(scene.root).begin(*command)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()

    assert process.stderr.read() == ""
    assert process.wait(60) == 141


def test_an_output_that_is_full_is_no_defect(scene: Scene, call: Call) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-c", "from crossfade.cli import main; main()", "schema"],
            cwd=scene.root,
            env=environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )

    assert done.returncode == 1
    assert "standard output cannot be written: No space left on device" in done.stderr
    assert "defect" not in done.stderr
