"""One file per vendor, and the state log: where the pure core meets the outside."""
