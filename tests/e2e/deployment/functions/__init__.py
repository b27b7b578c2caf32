"""`deployment=lambda`: AWS's own emulator runs what moto's control plane was told of."""
