"""The REST API: stateless and read-only, any number of replicas, over Postgres alone."""
