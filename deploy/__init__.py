"""How Minutebook is run: on one machine, in containers, on Kubernetes; no service imports it."""
