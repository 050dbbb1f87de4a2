"""Runs all of Minutebook on one machine without a container engine: an embedded Postgres and the services."""
