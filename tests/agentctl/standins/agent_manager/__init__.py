"""A stand-in for the manager, put into the working directory of `agentctl up`, where Python finds it first."""
