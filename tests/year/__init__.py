"""A year of many migrations, lived through in minutes by the real sensor and engine, and judged by its events."""
