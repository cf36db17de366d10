from collections.abc import Callable

import numpy as np
import pytest

from design_space import Architecture, Head, Layer, MixedLayer

OPERATIONS = (("sa", "sdp"), ("sa", "wma"), ("l", "dft"), ("l", "dct"), ("c", "5"), ("c", "9"))


@pytest.fixture
def draw() -> Callable[[np.random.Generator], Architecture]:
    """A function that draws an architecture of one to four small layers."""

    def layer(rng: np.random.Generator) -> Layer:
        operation, parameter = OPERATIONS[rng.integers(len(OPERATIONS))]
        feed_forward = tuple(int(size) for size in rng.choice([24, 40], size=rng.integers(1, 4)))
        return Layer(operation, parameter, int(rng.choice([16, 32])), int(rng.choice([1, 2, 4])), feed_forward)

    return lambda rng: Architecture(tuple(layer(rng) for _ in range(rng.integers(1, 5))))


@pytest.fixture
def draw_mixed() -> Callable[[np.random.Generator], Architecture]:
    """A function that draws an architecture of one to three small layers with mixed heads."""

    def layer(rng: np.random.Generator) -> MixedLayer:
        chosen = [OPERATIONS[number] for number in rng.integers(len(OPERATIONS), size=rng.integers(1, 5))]
        heads = tuple(Head(*operation, int(rng.choice([8, 16]))) for operation in chosen)
        feed_forward = tuple(int(size) for size in rng.choice([24, 40], size=rng.integers(1, 4)))
        return MixedLayer(heads, int(rng.choice([16, 32])), feed_forward)

    return lambda rng: Architecture(tuple(layer(rng) for _ in range(rng.integers(1, 4))))
