"""Watching a model at work: has what it sees changed, and what does that cost?"""
