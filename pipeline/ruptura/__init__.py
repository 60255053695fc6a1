"""Ruptura: early, quiet, explained warnings of breaks in customer service."""

__version__ = "0.1.0"
