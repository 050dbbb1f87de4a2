"""Postgres: connections whose failures are ours to read, the migration, and the rollups' rebuilding."""
