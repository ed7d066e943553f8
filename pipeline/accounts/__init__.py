"""The heart: the book of one frames partition, `step(frame) -> effects`."""
