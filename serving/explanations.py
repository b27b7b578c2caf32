"""Where a model looked, worked out without torch."""

from __future__ import annotations

from typing import Literal

Method = Literal["saliency", "integrated_gradients", "occlusion"]
