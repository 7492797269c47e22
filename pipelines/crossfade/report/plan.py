"""A plan for people: as Markdown for a pull request or Dagster, on a terminal, and as JSON for other programs."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.syntax import Syntax
from rich.text import Text

from crossfade.plan import Plan, PlannedHazard
from crossfade.report.estimate import ASSUMPTION
from crossfade.report.indented import print_indented
from crossfade.report.measures import said_bytes, said_moment, said_rows, said_seconds
from crossfade.report.order import deploy_order, mermaid
from crossfade.report.outline import RISKS, STYLE_OF_RISK, Line, Outline, Section, outline, section_of, statements
from crossfade.steps.step import Leg


def plan_markdown(plan: Plan, *, sql: bool = False, completed: datetime | None = None) -> str:
    """The plan as Markdown. sql: with the statements of each step. completed: when, of one that is not to come."""
    view = outline(plan)
    steps = _markdown_steps_with_sql if sql else _markdown_steps
    parts = [
        f"# {plan.title}",
        _facts(plan),
        *([f"> {plan.why}"] if plan.why else []),
        *([f"**{_completed(completed)}.**"] if completed else []),
        f"**Risk: {view.risk}.** {_duration(view)}",
        *_markdown_hazards(plan),
        *_markdown_sizes(plan),
        *_markdown_order(plan),
        *(
            part
            for section in view.sections
            for part in (f"## {section.heading}", _meaning(section), *_markdown_section(plan, section, steps))
        ),
        f"_{ASSUMPTION[0].upper()}{ASSUMPTION[1:]}._",
    ]
    return "\n\n".join(parts) + "\n"


def leg_markdown(plan: Plan, leg: Leg) -> str:
    """One leg's part of the plan, with the numbers its steps have there; without a heading and what a leg means.

    Its steps are a list, for panels in which a table would be cut off.
    """
    return "\n\n".join(_markdown_section(plan, section_of(plan, leg), _markdown_list))


def plan_json(plan: Plan, *, sql: bool = False, completed: datetime | None = None) -> dict[str, Any]:
    """The plan as data to be written as JSON; seconds are estimates. sql, completed: as in `plan_markdown`."""
    view = outline(plan)
    return {
        "migration": plan.migration,
        "title": plan.title,
        "why": plan.why,
        "owner": plan.owner,
        "after": list(plan.after),
        "digest": plan.digest,
        "completed": completed.isoformat() if completed else None,
        "risk": view.risk,
        "databases": list(plan.databases),
        "hazards": [hazard.model_dump(mode="json") for hazard in plan.hazards],
        "sizes": [
            {
                "database": size.database,
                "relation": str(size.relation),
                "rows": size.rows,
                "bytes": size.bytes,
            }
            for size in plan.sizes
        ],
        "lineage": [lineage.model_dump(mode="json") for lineage in plan.lineage],
        "applications": [application.model_dump(mode="json") for application in plan.applications],
        "order": [
            {"id": event.id, "kind": event.kind, "title": event.title, "after": list(event.after)}
            for event in deploy_order(plan)
        ],
        "seconds": view.seconds,
        "assumption": ASSUMPTION,
        "legs": [_json_section(section, sql=sql) for section in view.sections],
    }


def print_plan(plan: Plan, console: Console, *, sql: bool = False, completed: datetime | None = None) -> None:
    """Print the plan; sql, completed: as in `plan_markdown`."""
    view = outline(plan)
    print_indented(console, 0, Text(plan.title, style="bold"))
    print_indented(console, 0, Text(_facts(plan).replace("`", ""), style="dim"))
    if plan.why:
        print_indented(console, 0, Text(plan.why))
    if completed:
        print_indented(console, 0, Text(_completed(completed), style="bold green"))
    risk = Text.assemble("risk: ", (view.risk, STYLE_OF_RISK[view.risk]), f" · {_duration(view)}")
    print_indented(console, 0, risk)
    for hazard in _by_risk(plan):
        words = Text.assemble(
            (hazard.risk, STYLE_OF_RISK[hazard.risk]), f" {hazard.what} ", (f"({hazard.code})", "dim")
        )
        print_indented(console, 2, words)
        if hazard.fix:
            print_indented(console, 4, Text(f"fix: {hazard.fix}"))
    for size in plan.sizes:
        words = f"{size.database}: {size.relation} has {said_bytes(size.bytes)}, rows: {said_rows(size.rows)}"
        print_indented(console, 2, Text(words, style="dim"))
    if plan.applications:
        print_indented(console, 2, Text("deploy order", style="bold"))
        for number, event in enumerate(deploy_order(plan), 1):
            print_indented(console, 6, Text(event.title), mark=f"  {number:>2}")
    for section in view.sections:
        _print_section(plan, section, console, sql=sql)
    print_indented(console, 0, Text(ASSUMPTION, style="dim"))


# --- shared words ------------------------------------------------------------------------------------


def _facts(plan: Plan) -> str:
    databases = ", ".join(f"`{name}`" for name in plan.databases)
    parts = [f"`{plan.migration}`", f"on {databases}", f"plan `{plan.digest[:12]}`"]
    if plan.owner:
        parts.insert(1, f"owner {plan.owner}")
    if plan.after:
        parts.append(f"after {', '.join(f'`{name}`' for name in plan.after)}")
    return " · ".join(parts)


def _completed(moment: datetime) -> str:
    return f"Complete since {said_moment(moment)}: nothing of this is to come"


def _meaning(section: Section) -> str:
    return f"{section.meaning[0].upper()}{section.meaning[1:]}."


def _duration(view: Outline) -> str:
    return f"about {said_seconds(view.seconds)} of work" if view.seconds else "no step takes longer than an instant"


def _time(line: Line) -> list[str]:
    """The estimate, where it is worth a word."""
    return [f"about {said_seconds(line.seconds)}"] if line.seconds and line.seconds >= 1 else []


def _by_risk(plan: Plan) -> list[PlannedHazard]:
    return sorted(plan.hazards, key=lambda hazard: -RISKS.index(hazard.risk))


# --- Markdown ----------------------------------------------------------------------------------------


def _markdown_hazards(plan: Plan) -> Iterator[str]:
    if plan.hazards:
        yield "## What a reviewer must know"
        yield "\n".join(
            f"- **{hazard.risk}** {_cell(hazard.what)} (`{hazard.code}`, {hazard.change})"
            + (f"<br>Fix: {_cell(hazard.fix)}" if hazard.fix else "")
            for hazard in _by_risk(plan)
        )


def _markdown_sizes(plan: Plan) -> Iterator[str]:
    if plan.sizes:
        rows = [
            (f"`{size.database}`", f"`{size.relation}`", said_rows(size.rows), said_bytes(size.bytes))
            for size in plan.sizes
        ]
        yield "## Tables it touches"
        yield _markdown_table(("database", "table", "rows", "size"), rows)


def _markdown_order(plan: Plan) -> Iterator[str]:
    if plan.applications:
        yield "## Deploy order"
        yield "\n".join(f"{n}. {_cell(event.title)}" for n, event in enumerate(deploy_order(plan), 1))
        yield f"```mermaid\n{mermaid(plan)}```"


def _markdown_section(plan: Plan, section: Section, steps: Callable[[Sequence[Line]], str]) -> Iterator[str]:
    if section.before:
        yield f"Starts when these hold: {', '.join(section.before)}."
    if not section.databases:
        yield "Nothing to do."
    for database, lines in section.databases:
        if len(plan.databases) > 1:
            yield f"### {database}"
        yield steps(lines)
    if section.after:
        yield f"Ends when these hold: {', '.join(section.after)}."


def _markdown_steps(lines: Sequence[Line]) -> str:
    return _markdown_table(("", "what", "lock", "who waits", "time", "undo"), [_markdown_row(line) for line in lines])


def _markdown_steps_with_sql(lines: Sequence[Line]) -> str:
    scripts = [f"{line.number}. {line.step.title}\n\n```sql\n{_script(line)}\n```" for line in lines]
    return "\n\n".join([_markdown_steps(lines), *scripts])


def _markdown_list(lines: Sequence[Line]) -> str:
    items: list[str] = []
    for line in lines:
        parts = [_cell(line.step.title), " · ".join([*line.locks, line.waits, *_time(line)])]
        if line.step.undo or line.step.irreversible:
            parts.append(f"undo: {_cell(line.undo)}")
        items.append(f"{line.number}. " + "  \n   ".join(parts))
    return "\n".join(items)


def _markdown_row(line: Line) -> tuple[str, ...]:
    locks = ", ".join(line.locks) or "none"
    return (str(line.number), line.step.title, locks, line.waits, "".join(_time(line)), line.undo)


def _markdown_table(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [header, tuple("---" for _ in header), *rows]
    return "\n".join("| " + " | ".join(map(_cell, cells)) + " |" for cells in lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


# --- terminal ----------------------------------------------------------------------------------------


def _print_section(plan: Plan, section: Section, console: Console, *, sql: bool) -> None:
    console.print()
    print_indented(console, 0, Text.assemble((section.heading, "bold cyan"), (f"  {section.meaning}", "dim")))
    if section.before:
        print_indented(console, 2, Text(f"starts when these hold: {', '.join(section.before)}"))
    if not section.databases:
        print_indented(console, 2, Text("nothing to do", style="dim"))
    for database, lines in section.databases:
        if len(plan.databases) > 1:
            print_indented(console, 2, Text(database, style="bold"))
        for line in lines:
            _print_line(line, console, sql=sql)
    if section.after:
        print_indented(console, 2, Text(f"ends when these hold: {', '.join(section.after)}"))


def _print_line(line: Line, console: Console, *, sql: bool) -> None:
    print_indented(console, 6, Text(line.step.title), mark=f"  {line.number:>2}")
    print_indented(console, 6, Text(" · ".join([*line.locks, line.waits, *_time(line)]), style="dim"))
    if line.step.undo or line.step.irreversible:
        style = STYLE_OF_RISK["warning"] if line.step.irreversible else "dim"
        print_indented(console, 6, Text(f"undo: {line.undo}", style=style))
    if sql:
        script = Syntax("", "sql", background_color="default").highlight(textwrap.indent(_script(line), " " * 6))
        script.rstrip()
        console.print(script, soft_wrap=True)  # not folded: it is there to be copied


def _script(line: Line) -> str:
    return "\n".join(f"{statement.rstrip(';')};" for statement in statements(line.step))


# --- JSON --------------------------------------------------------------------------------------------


def _json_section(section: Section, *, sql: bool) -> dict[str, Any]:
    return {
        "leg": str(section.leg),
        "phase": section.leg.phase,
        "gates_before": list(section.before),
        "gates_after": list(section.after),
        "databases": [
            {"database": database, "steps": [_json_line(line, sql=sql) for line in lines]}
            for database, lines in section.databases
        ],
    }


def _json_line(line: Line, *, sql: bool) -> dict[str, Any]:
    step = line.step
    return {
        "number": line.number,
        "id": step.id,
        "kind": step.kind,
        "title": step.title,
        "locks": [{"relation": str(lock.relation), "mode": lock.mode, "blocks": lock.blocks} for lock in step.locks],
        "waits": line.waits,
        "undo": step.undo_title,
        "irreversible": step.irreversible,
        "seconds": line.seconds,
        **({"sql": list(statements(step))} if sql else {}),
    }
