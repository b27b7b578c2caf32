"""Targets at Amazon Web Services; boto3 is imported when one is used."""
