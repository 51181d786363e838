"""Where instances are found beside their own registration: a source emits events, the registry applies them."""
