"""`agentctl up`: the manager and the configuration's agents as child processes of one command."""
