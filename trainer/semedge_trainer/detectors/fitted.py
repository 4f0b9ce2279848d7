"""What the detectors without networks share."""

from __future__ import annotations

from abc import abstractmethod

import tensorflow as tf

from semedge.core.errors import SemedgeError
from semedge_trainer.components.blocks import Network
from semedge_trainer.detectors.base import Fitting, Networks, Stage, TrainableDetector


class FittedDetector(TrainableDetector):
    """A detector without networks: arrays that were fitted to normal patches, and scores."""

    def build(self) -> dict[str, Network]:
        """No network."""
        return {}

    def stages(self) -> tuple[Stage, ...]:
        """No stage; the fit is all."""
        return ()

    def reconstruct(self, networks: Networks, patches: tf.Tensor) -> tf.Tensor | None:
        """None: no network draws."""
        return None

    def fine_tuning_loss(self, networks: Networks, patches: tf.Tensor) -> tf.Tensor:
        """Refused: there is nothing to quantize."""
        raise SemedgeError(f"{self.name} has no network that could be fine-tuned.")

    @abstractmethod
    def fitting(self, networks: Networks, seed: int) -> Fitting:
        """The fit."""
