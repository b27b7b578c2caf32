"""Learning from few labels and many images without: `training=semi_supervised`."""

from __future__ import annotations

import copy
from typing import Annotated, Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from digits.contract.preprocessing import Preprocessing
from digits.data.types import Augment
from digits.errors import DataError
from digits.models.inference import Inference
from digits.models.objective import Classify, Supervised

Share = Annotated[float, Field(ge=0, lt=1)]


class SemiSupervised(Supervised):
    """Cross-entropy on labels, and on what a teacher is sure of about images without.

    FixMatch (Sohn et al. 2020, "FixMatch: simplifying semi-supervised learning with consistency
    and confidence"): an image that is hardly changed gets an answer; where that is confident, the
    network has to give the same one for the image changed a lot. The answers come from the average
    of the network's last weights (Tarvainen and Valpola 2017, "Mean teachers are better role
    models"). They are not corrected towards all digits being equally frequent, as some do: there
    are more ones than fives, and some ones would be taught to be sevens.

    Args:
        weak: the small change.
        strong: the great one.
        unlabelled: images without labels in each step.
        threshold: confidence from which on an answer counts.
        decay: of the teacher's average, per step.
        warmup: steps on labels alone, before the teacher knows anything.
        label_smoothing, blanks: see :class:`Supervised`.
    """

    def __init__(
        self,
        *,
        weak: Augment,
        strong: Augment,
        unlabelled: Annotated[int, Field(ge=1)] = 192,
        threshold: Share = 0.9,
        decay: Share = 0.99,
        warmup: Annotated[int, Field(ge=0)] = 200,
        label_smoothing: Share = 0.0,
        blanks: Annotated[int, Field(ge=0)] = 0,
    ) -> None:
        super().__init__(label_smoothing, blanks)
        self.weak = weak
        self.strong = strong
        self.unlabelled = unlabelled
        self.threshold = threshold
        self.decay = decay
        self.warmup = warmup
        self._steps = 0
        self._average: dict[str, Tensor] = {}

    def begin(self, network: nn.Module, unlabelled: NDArray[np.uint8]) -> None:
        """See :class:`Objective`.

        Raises:
            DataError: there are no images without labels.
        """
        if not len(unlabelled):
            raise DataError(
                "training: semi_supervised learns from images without labels too, and this data "
                "has none: data=mnist data.train_size=100 data.unlabelled=true"
            )
        self._pool = unlabelled
        self._network = network
        standard = Preprocessing()
        teacher = copy.deepcopy(network).float().eval().requires_grad_(False)
        self._teacher = Inference(teacher, mean=standard.mean, std=standard.std)
        if self._average:
            self._teacher.network.load_state_dict(self._average)

    def state_dict(self) -> dict[str, Any]:
        """See :class:`Objective`."""
        return {
            "steps": self._steps,
            "teacher": self._teacher.network.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """See :class:`Objective`."""
        self._steps = state["steps"]
        self._average = state["teacher"]

    def __call__(self, classify: Classify, pixels: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """See :class:`Objective`; what the teacher is unsure of counts as no loss."""
        self._teacher.to(pixels.device)
        self._follow()
        if self._steps <= self.warmup:
            return super().__call__(classify, pixels, labels)
        weak, strong = self._drawn(pixels.device)
        targets, counts = self._taught(weak)
        of_strong: list[Tensor] = []

        def together(batch: Tensor) -> Tensor:
            # One pass, so that batch normalisation sees both.
            answers = classify(torch.cat([batch, strong]))
            of_strong.append(answers[len(batch) :])
            return answers[: len(batch)]

        loss, logits = super().__call__(together, pixels, labels)
        apart = functional.cross_entropy(of_strong[0], targets, reduction="none")
        return loss + (apart * counts).mean(), logits

    @torch.no_grad()
    def _follow(self) -> None:
        """Let the teacher take over some of the network's weights, quickly at first."""
        self._steps += 1
        decay = min(self.decay, self._steps / (self._steps + 9))
        for mean, now in zip(
            self._teacher.network.state_dict().values(),
            self._network.state_dict().values(),
            strict=True,
        ):
            if mean.is_floating_point():
                mean.lerp_(now.to(mean), 1 - decay)
            else:
                mean.copy_(now)

    def _drawn(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """Draw images of the pool; return them hardly changed and changed a lot."""
        # By torch's own random numbers, which a checkpoint keeps.
        chosen = torch.randint(len(self._pool), (self.unlabelled,)).numpy()
        seed = int(torch.randint(2**62, ()))
        images = self._pool[chosen]
        weak, strong = (
            torch.as_tensor(change(images, [(seed, kind, place) for place in range(len(images))]))
            for kind, change in enumerate((self.weak, self.strong))
        )
        return weak.to(device), strong.to(device)

    @torch.no_grad()
    def _taught(self, weak: Tensor) -> tuple[Tensor, Tensor]:
        """Return the teacher's answers int64 ``[U]`` and whether each counts, float ``[U]``."""
        confidence, targets = self._teacher(weak).float().softmax(1).max(1)
        return targets, (confidence >= self.threshold).float()
