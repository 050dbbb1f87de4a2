"""`/health`, and the probes: how everything is, whether the process runs, and whether it can serve."""
