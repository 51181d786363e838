"""Kubernetes: its API, its objects, and the watch that keeps what the manager knows equal to them."""
