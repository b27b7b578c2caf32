"""MLflow: where runs are recorded, and what a run records."""
