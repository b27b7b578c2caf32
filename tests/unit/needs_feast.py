"""A module that stands for one whose extra is not installed."""

raise ModuleNotFoundError("No module named 'feast'", name="feast")
