"""What a run tells other systems: OpenLineage events, OpenTelemetry traces and metrics; each off unless configured."""

from crossfade.telemetry.reported import reported

__all__ = ["reported"]
