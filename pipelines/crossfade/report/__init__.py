"""Plans and status as people read them: on a terminal, in a pull request, as JSON. Knows no command and no Dagster."""

from crossfade.report.fleet import fleet_json, print_fleet
from crossfade.report.order import mermaid
from crossfade.report.plan import plan_json, plan_markdown, print_plan
from crossfade.report.status import print_status, status_json
from crossfade.report.suites import suites_page
from crossfade.report.summary import print_summary
from crossfade.report.why import print_why, why_json

__all__ = [
    "fleet_json",
    "mermaid",
    "plan_json",
    "plan_markdown",
    "print_fleet",
    "print_plan",
    "print_status",
    "print_summary",
    "print_why",
    "status_json",
    "suites_page",
    "why_json",
]
