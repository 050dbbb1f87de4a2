"""Makes the load for the API's benchmarks: a record of generated minutes, and requests."""
