"""`agentctl prove`: that nothing was lost, from what the manager counted, or in a restart under load."""
