"""Finding a manager in a Kubernetes cluster and talking through a forwarded port, all by the user's own kubectl."""
