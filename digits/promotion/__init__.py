"""The gate: compares, writes evidence, moves the aliases champion and previous."""
