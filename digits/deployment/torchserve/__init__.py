"""`deployment=torchserve`: the archive, the server under supervision, and what is asked of it."""
