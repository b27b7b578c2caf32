"""Digits: handwritten-digit recognition, from raw images to a served, watched, improving model."""

import time

#: ``time.monotonic()`` when the program began: what a command costs includes its imports
STARTED = time.monotonic()
