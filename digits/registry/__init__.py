"""Model versions: bundles, aliases, and where they came from."""
