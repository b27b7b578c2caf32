"""How good a classifier is: numbers and pictures."""
