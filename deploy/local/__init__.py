"""Everything on one machine without a container engine: an embedded Postgres, and a supervisor for the services."""
