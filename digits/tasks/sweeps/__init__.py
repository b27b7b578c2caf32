"""A multirun as a whole: its jobs checked before the first, tracked as one, shown at the end."""
