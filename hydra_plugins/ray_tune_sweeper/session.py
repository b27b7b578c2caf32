"""What a task sees of the search it runs in. Outside a trial there is nothing to see.

Hydra executes every public module of a plugin by itself; the state is kept in a private one.
"""

from hydra_plugins.ray_tune_sweeper._trial import Trial, TrialError, current

__all__ = ["Trial", "TrialError", "current"]
