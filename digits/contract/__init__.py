"""What training and serving must agree on; imports no torch, no tracking, no framework."""
