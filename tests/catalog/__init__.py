"""The catalog: read from a real server, and compared."""
