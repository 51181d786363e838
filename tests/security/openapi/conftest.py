"""Adapters to ask, as the adapter's own tests start them."""

from tests.adapter.conftest import start

__all__ = ["start"]
