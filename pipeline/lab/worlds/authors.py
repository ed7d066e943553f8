"""Whose worlds there are, how large they are made, and which of them teach."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.lab.worlds import enterprise, exchange

if TYPE_CHECKING:
    from pipeline.lab.worlds.world import Author

AUTHORS: dict[str, Author] = {"enterprise": enterprise.world, "exchange": exchange.world}
"""Those that ship. They teach."""
SIZE = (90, 12)
"""Customers and days of a world."""
FIRST_SEED = 101
"""Seeds from here on do not teach."""
