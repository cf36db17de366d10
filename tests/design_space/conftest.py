from collections.abc import Callable

import numpy as np
import pytest

from design_space import Architecture, Layer

OPERATIONS = (("sa", "sdp"), ("sa", "wma"), ("l", "dft"), ("l", "dct"), ("c", "5"), ("c", "9"))


@pytest.fixture
def draw() -> Callable[[np.random.Generator], Architecture]:
    """A function that draws an architecture of one to four small layers."""

    def layer(rng: np.random.Generator) -> Layer:
        operation, parameter = OPERATIONS[rng.integers(len(OPERATIONS))]
        feed_forward = tuple(int(size) for size in rng.choice([24, 40], size=rng.integers(1, 4)))
        return Layer(operation, parameter, int(rng.choice([16, 32])), int(rng.choice([1, 2, 4])), feed_forward)

    return lambda rng: Architecture(tuple(layer(rng) for _ in range(rng.integers(1, 5))))
