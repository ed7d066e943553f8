"""Stillwatch: notices, while it happens, the accounts that are draining a model through its API."""

__version__ = "0.1.0"
