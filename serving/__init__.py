"""The service: answers over HTTP from a model bundle; imports no torch, no mlflow, no feast."""
