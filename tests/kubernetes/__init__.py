"""Tests of deploy/kubernetes: what the manifests say, and what becomes of them in a cluster."""
