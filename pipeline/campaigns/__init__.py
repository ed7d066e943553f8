"""Groups of accounts that act as one. Not built yet."""
