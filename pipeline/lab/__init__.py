"""Simulate, backtest, bench: the instruments."""
