"""Where the service runs: what hands models to it, what keeps it up, one module per target."""
