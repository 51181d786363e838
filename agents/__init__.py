"""Example agents: plain programs, which know nothing of the adapter that runs them but the `context` it hands over."""
