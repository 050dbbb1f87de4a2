"""Postgres: the one way to it, the schema with its versions and rights, and the rebuilding of rollups."""
