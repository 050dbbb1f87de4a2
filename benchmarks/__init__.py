"""Benchmarks: each measures Minutebook beside a reference in the same minute, and prints the ratio."""
