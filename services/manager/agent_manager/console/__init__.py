"""The live console: what browsers load, and the stream that keeps their pages up to date."""
