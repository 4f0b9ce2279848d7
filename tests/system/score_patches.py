"""`python score_patches.py BUNDLE FRAMES.npy SCORES.npy`: the patch scores of frames.

Prints the name of the TFLite runtime that gave them.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from semedge.core.frame import Frame
from semedge.inference.detector import Detector
from semedge.inference.interpreter import find_runtime

bundle, frames, scores = map(Path, sys.argv[1:])
with Detector.load(bundle) as detector:
    maps = [
        detector.score(Frame(image, number, 0.0, f"frame {number}"))
        for number, image in enumerate(np.load(frames))
    ]
np.save(scores, np.stack([each.patch_scores for each in maps]))
print(find_runtime()[0])
