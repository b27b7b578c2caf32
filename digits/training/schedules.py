"""Learning-rate schedules with one signature, stepped after every batch.

Each takes the optimizer, then ``total_steps`` and ``steps_per_epoch`` as known when training
starts, and what the config leaf sets. The peak is the optimizer's own learning rate.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from torch.optim import Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LambdaLR, LRScheduler, OneCycleLR

Factor = Annotated[float, Field(gt=0, le=1)]


def one_cycle(
    optimizer: Optimizer,
    *,
    total_steps: int,
    steps_per_epoch: int,
    warmup_fraction: Annotated[float, Field(ge=0, lt=1)],
    start_factor: Factor,
    final_factor: Factor,
    shape: Literal["cos", "linear"] = "cos",
) -> LRScheduler:
    """Up to the learning rate, then down to nearly nothing (Smith and Topin 2017).

    Args:
        optimizer: its learning rate is the peak.
        total_steps: batches of the whole training.
        steps_per_epoch: unused; part of the common signature.
        warmup_fraction: share of the steps on the way up.
        start_factor: learning rate of the first step, as a share of the peak.
        final_factor: learning rate of the last step, as a share of the first.
        shape: half a cosine each way, or a straight line.
    """
    # A way up of one step has no length: torch divides by it. The cycle then starts at its peak.
    climbs = warmup_fraction * total_steps > 1
    return OneCycleLR(
        optimizer,
        max_lr=optimizer.param_groups[0]["lr"],
        total_steps=total_steps,
        pct_start=warmup_fraction if climbs else 0.0,
        div_factor=1 / start_factor,
        final_div_factor=1 / final_factor,
        anneal_strategy=shape,
        cycle_momentum=False,
    )


def cosine(
    optimizer: Optimizer,
    *,
    total_steps: int,
    steps_per_epoch: int,
    final_factor: Annotated[float, Field(ge=0, le=1)],
) -> LRScheduler:
    """Half a cosine from the learning rate down to ``final_factor`` of it."""
    final = final_factor * optimizer.param_groups[0]["lr"]
    return CosineAnnealingLR(optimizer, T_max=total_steps, eta_min=final)


def step(
    optimizer: Optimizer, *, total_steps: int, steps_per_epoch: int, gamma: Factor
) -> LRScheduler:
    """Multiply the learning rate by ``gamma`` after every epoch."""
    return LambdaLR(optimizer, lambda batch: gamma ** (batch // steps_per_epoch))


def constant(optimizer: Optimizer, *, total_steps: int, steps_per_epoch: int) -> LRScheduler:
    """Keep the optimizer's learning rate."""
    return LambdaLR(optimizer, lambda batch: 1.0)
