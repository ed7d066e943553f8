"""Columnar windows per account: one pass, O(1) per event, bounded bytes."""
