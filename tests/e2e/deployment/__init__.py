"""Every deployment target, for real where it can run here."""
