"""Has all clients go on in another database: the pooler pauses them, points elsewhere, and lets them go on."""

from crossfade.execute.switch.switching import run_switch

__all__ = ["run_switch"]
