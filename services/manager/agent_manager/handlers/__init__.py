"""HTTP: requests become calls of the parts below, and what these give or raise becomes answers."""
