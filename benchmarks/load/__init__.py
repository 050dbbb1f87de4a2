"""What the API's benchmarks are fed with: a record of invented minutes, and requests."""
