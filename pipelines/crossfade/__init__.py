"""crossfade: PostgreSQL migrations that old and new application versions live through side by side."""

__version__ = "0.1.0"
