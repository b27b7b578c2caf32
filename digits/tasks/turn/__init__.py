"""A turn of the loop, step by step: `task=loop` plays it."""
