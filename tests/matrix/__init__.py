"""The tests against each version of PostgreSQL that crossfade supports."""
