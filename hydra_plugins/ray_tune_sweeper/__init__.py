"""`hydra/sweeper=ray_tune`: Hydra's multirun as a Ray Tune search that stops losers early.

For any Hydra application. A trial is an ordinary Hydra job in its own folder; the task reports
through :func:`hydra_plugins.ray_tune_sweeper.session.current` and needs no other change.
"""
