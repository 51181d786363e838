"""What the adapter and the manager promise one another: messages, problems, configuration, logs, serving."""

__version__ = "0.1.0"
