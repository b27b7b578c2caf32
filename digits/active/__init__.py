"""Active learning: which samples of a pool are worth a person's time."""
