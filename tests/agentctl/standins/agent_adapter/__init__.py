"""A stand-in for the adapter, put into the working directory of `agentctl up`, where Python finds it first."""
