"""Tests of parts that meet in a real Postgres or over a real connection."""
