"""Teacher g, a network with dropout whose passes disagree where data are few, and student h, which learns how much.

Symbols: T stochastic passes, n rows, h hidden size.
"""

import math

import torch
from torch.nn import functional as F

from boshnas.surrogates.base import Draw, Moments, Surrogate
from boshnas.surrogates.repeats import Measurements
from boshnas.surrogates.training import Shape, adam, autograd, unpack

_NUM_SYNTHETIC = 128  # rows between and beyond the data at which the student also learns


class TeacherStudentSurrogate(Surrogate):
    """Epistemic uncertainty as a deterministic, smooth function of x.

    The teacher's epistemic std is the deviation over stochastic passes, each pass one sampled network; the student
    learns it at the data, between them (features recombined) and beyond them. Mean: the teacher without dropout.
    Aleatoric std: the root mean square residual, the same everywhere.

    Args:
        hidden_size: Width of both hidden layers, of teacher and student.
        num_steps: Of Adam, for each.
        learning_rate: At the first step.
        weight_decay: Gaussian prior on the teacher's weights, as one pseudo-observation count shared by all rows.
        dropout: Probability that a hidden unit is dropped, in (0, 1).
        num_passes: Stochastic passes, all in one batch.
        random_state: Seed of weights and dropout; None for a fresh one.

    Reference:
        Gal and Ghahramani 2016, arXiv 1506.02142; Tuli, Dedhia, Tuli, Jha 2022, arXiv 2205.11656, section 3.3.
    """

    def __init__(
        self,
        hidden_size: int = 32,
        num_steps: int = 150,
        learning_rate: float = 0.01,
        weight_decay: float = 0.01,
        dropout: float = 0.1,
        num_passes: int = 32,
        random_state: int | None = None,
    ) -> None:
        self.hidden_size = hidden_size
        self.num_steps = num_steps
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.dropout = dropout
        self.num_passes = num_passes
        self.random_state = random_state

    def _fit(self, data: Measurements) -> None:
        generator = self._generator()
        self._learn(self._teach(data, generator), data, generator)

    def _learn(self, teacher: torch.Tensor, data: Measurements, generator: torch.Generator) -> None:
        """Train the student on the deviation of the teacher, weights (1, P)."""
        self.teacher_ = teacher
        X = data.X
        squares = (_forward(teacher, X, self.hidden_size)[0] - data.y).square() + data.scatter / data.count
        self.residual_ = float((squares @ data.count / data.count.sum()).clamp_min(1e-12).sqrt())
        rows = torch.cat([X, _synthetic(X, generator)])
        deviation = self._deviation(teacher, rows, generator)
        scale = float(deviation.mean().clamp_min(1e-9))

        def loss(weights: torch.Tensor) -> torch.Tensor:
            learned: torch.Tensor = F.softplus(_forward(weights, rows, self.hidden_size))
            return (learned - deviation / scale).square().mean()

        start = _initial(X.shape[1], self.hidden_size, generator)
        self.student_ = adam(autograd(loss), start, num_steps=self.num_steps, learning_rate=self.learning_rate)
        self.student_scale_ = scale

    def _predict(self, X: torch.Tensor) -> Moments:
        mean = _forward(self.teacher_, X, self.hidden_size)[0]
        epistemic = self.student_scale_ * F.softplus(_forward(self.student_, X, self.hidden_size)[0])
        return mean, epistemic, torch.full_like(mean, self.residual_)

    def _draw(self, generator: torch.Generator) -> Draw:
        """The teacher with some of its units dropped."""
        masks = [self._mask((1, 1, self.hidden_size), generator) for _ in range(2)]
        return lambda X: _forward(self.teacher_, X, self.hidden_size, masks)[0]

    def _teach(self, data: Measurements, generator: torch.Generator) -> torch.Tensor:
        """Weights (1, P)."""
        X = data.X
        # A noisy row counts less, never more than one measurement of unknown noise.
        row_weights = data.count / (1 + data.variance.nan_to_num(0.0))
        shapes, size = _shapes(X.shape[1], self.hidden_size), (1, len(X), self.hidden_size)

        def loss(weights: torch.Tensor) -> torch.Tensor:
            masks = [self._mask(size, generator) for _ in range(2)]
            squares = (_forward(weights, X, self.hidden_size, masks) - data.y).square()
            decay = sum(W.square().sum() for W in unpack(weights, shapes)[::2])
            return ((row_weights * squares).sum() + self.weight_decay * decay) / data.count.sum()

        start = _initial(X.shape[1], self.hidden_size, generator)
        return adam(autograd(loss), start, num_steps=self.num_steps, learning_rate=self.learning_rate)

    def _deviation(self, weights: torch.Tensor, X: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Standard deviation over T sampled networks at X (n, d), shape (n,)."""
        masks = [self._mask((self.num_passes, 1, self.hidden_size), generator) for _ in range(2)]
        return _forward(weights, X, self.hidden_size, masks).std(dim=0)

    def _mask(self, size: Shape, generator: torch.Generator) -> torch.Tensor:
        kept = torch.rand(size, dtype=torch.float64, generator=generator) >= self.dropout
        return kept / (1 - self.dropout)


def _synthetic(X: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Rows made of features of random rows, half of them moved by about the data's spread."""
    num_rows, num_features = X.shape
    donors = torch.randint(num_rows, (_NUM_SYNTHETIC, num_features), generator=generator)
    mixed = X[donors, torch.arange(num_features)]
    moved = torch.randn(_NUM_SYNTHETIC // 2, num_features, dtype=torch.float64, generator=generator)
    mixed[: len(moved)] += moved
    return mixed


def _shapes(num_features: int, hidden_size: int) -> list[Shape]:
    sizes = [num_features, hidden_size, hidden_size, 1]
    return [shape for i, o in zip(sizes, sizes[1:], strict=False) for shape in ((i, o), (1, o))]


def _initial(num_features: int, hidden_size: int, generator: torch.Generator) -> torch.Tensor:
    """Flat parameters of one network, shape (1, P)."""
    arrays = []
    for fan_in, fan_out in _shapes(num_features, hidden_size)[::2]:
        W = torch.randn(fan_in, fan_out, dtype=torch.float64, generator=generator)
        arrays += [W.flatten() / math.sqrt(fan_in), torch.zeros(fan_out, dtype=torch.float64)]
    return torch.cat(arrays)[None]


def _forward(
    weights: torch.Tensor, X: torch.Tensor, hidden_size: int, masks: list[torch.Tensor] | None = None
) -> torch.Tensor:
    """Outputs (M, n) at X (n, d); masks, one a hidden layer, broadcast against (M, n, h)."""
    W1, b1, W2, b2, W3, b3 = unpack(weights, _shapes(X.shape[1], hidden_size))
    hidden = F.silu(X @ W1 + b1)
    hidden = F.silu((hidden if masks is None else hidden * masks[0]) @ W2 + b2)
    return ((hidden if masks is None else hidden * masks[1]) @ W3 + b3).squeeze(-1)
