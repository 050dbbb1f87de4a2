"""Minutebook's tests: of a unit alone, of parts with a real Postgres, and of whole commands."""
