"""What the suites of a migration found, as one page of HTML: no script, nothing from the network, no value of a row."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from html import escape
from typing import Any

from crossfade.ledger import GateRecord
from crossfade.report.measures import said_moment

_STYLE = """
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif; }
body { max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2.5rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid #8884; vertical-align: top; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
.holds { color: #18794e; } .fails { color: #c62a2f; font-weight: 600; } .warns { color: #ad5700; }
.aside { opacity: .7; }
"""
_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<h1>{title}</h1>
{body}
</body>
</html>
"""
_HEADINGS = ("expectation", "of", "result")
_NUMBERS = ("rows looked at", "not as expected", "share")


def suites_page(migration: str, answers: Iterable[GateRecord]) -> str:
    """The page of a migration. answers: of its gates, of which those of suites are shown."""
    suites = [answer for answer in answers if answer.gate.startswith("suite ")]
    nothing = "<p>No suite of this migration has been asked yet.</p>"
    body = "\n".join(section for answer in suites for section in _suite(answer)) or nothing
    return _PAGE.format(title=escape(f"Suites of {migration}"), style=_STYLE, body=body)


def _suite(answer: GateRecord) -> Iterator[str]:
    found = answer.evidence
    mark, word = ("holds", "holds") if answer.state == "holds" else ("fails", "does not hold")
    yield f'<h2>{escape(answer.gate)} {escape(answer.point)}: <span class="{mark}">{word}</span></h2>'
    yield f"<p>{escape(answer.reason)}</p>"
    yield f'<p class="aside">asked {escape(said_moment(answer.checked_at))}{_looked_at(found)}</p>'
    outcomes: list[Mapping[str, Any]] = found.get("expectations", [])
    if not outcomes:
        return
    numbers = "".join(f'<th class="number">{heading}</th>' for heading in _NUMBERS)
    yield f"<table><tr>{''.join(f'<th>{heading}</th>' for heading in _HEADINGS)}{numbers}</tr>"
    yield from map(_row, outcomes)
    yield "</table>"


def _looked_at(found: Mapping[str, Any]) -> str:
    if "rows" not in found:
        return ""
    sample = f", a sample of about {found['sample_of_rows']:,}" if "sample_of_rows" in found else ""
    return f"; {found['rows']:,} rows{sample}"


def _row(outcome: Mapping[str, Any]) -> str:
    mark, word = _result(outcome)
    looked_at, unexpected = outcome.get("element_count"), outcome.get("unexpected_count")
    share = f"{unexpected / looked_at:.3%}" if looked_at and unexpected is not None else ""
    observed = f" ({escape(str(outcome['observed_value']))})" if "observed_value" in outcome else ""
    numbers = (_number(looked_at), _number(unexpected), share)
    return (
        f"<tr><td>{escape(outcome['expectation'])}</td><td>{escape(', '.join(outcome['columns']))}</td>"
        f'<td class="{mark}">{word}{observed}</td>'
        + "".join(f'<td class="number">{number}</td>' for number in numbers)
        + "</tr>"
    )


def _result(outcome: Mapping[str, Any]) -> tuple[str, str]:
    if outcome["success"]:
        return "holds", "holds"
    return ("fails", "fails") if outcome["severity"] == "critical" else ("warns", f"fails: {outcome['severity']}")


def _number(count: int | None) -> str:
    return "" if count is None else f"{count:,}"
