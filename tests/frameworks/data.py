"""What the frameworks' models are given: standardized features, images, sequences and tokens."""

import numpy as np

_GENERATOR = np.random.default_rng(0)

CLASSES = 10
FEATURES = _GENERATOR.standard_normal((64, 20)).astype(np.float32)
IMAGES = _GENERATOR.standard_normal((16, 16, 16, 3)).astype(np.float32)
SEQUENCES = _GENERATOR.standard_normal((16, 24, 12)).astype(np.float32)
VOCABULARY = 64
TOKENS = _GENERATOR.integers(VOCABULARY, size=(8, 16))
