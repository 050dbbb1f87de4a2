"""Measurements, each with a ratio against something run in the same minute; `make bench` runs them all."""
