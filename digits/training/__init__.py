"""Fitting a classifier, and exporting what came out."""
