"""HTTP of the adapter: each handler translates one request and its answer, and decides nothing."""
