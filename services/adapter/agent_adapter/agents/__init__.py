"""The ways in which an agent plugs in: Python code, any program, an HTTP service, or a dummy."""
