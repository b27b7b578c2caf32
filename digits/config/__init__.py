"""Checking, recording and building what Hydra composed; imports none of what it builds."""
