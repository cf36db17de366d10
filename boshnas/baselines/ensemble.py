"""An ensemble of networks with expected improvement, as in BANANAS.

Symbols: B networks, m rows to learn from, d features; tensors are float32.
"""

import itertools
import math

import numpy as np
import torch

from boshnas.baselines.improvement import ImprovementSearcher, Values

NUM_NETWORKS = 5
HIDDEN_SIZES = (64, 64)
NUM_STEPS = 150
LEARNING_RATE = 5e-3
WEIGHT_DECAY = 1e-4


class EnsembleSearcher(ImprovementSearcher):
    """Believes what five networks of two ReLU layers say: their mean, and how far they are apart.

    Reference:
        White, Neiswanger, Savani 2021, arXiv 1910.11858, section 5.
    """

    def _predict(self, X: Values, z: Values, candidates: Values, rng: np.random.Generator) -> tuple[Values, Values]:
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        rows, targets = (torch.tensor(array, dtype=torch.float32) for array in (X, z))
        parameters = train(rows, targets, generator)
        with torch.no_grad():
            said = forward(parameters, torch.tensor(candidates, dtype=torch.float32)).double().numpy()
        return said.mean(axis=0), said.std(axis=0)


def train(X: torch.Tensor, z: torch.Tensor, generator: torch.Generator) -> list[torch.Tensor]:
    """Fit B networks at once, each on all rows from a start of its own.

    Adam works element by element, so the sum of B losses trains B independent networks.

    Args:
        X: Shape (m, d).
        z: Shape (m,).
        generator: Draws the starts, as `torch.nn.Linear` does: uniform in ±1/√inputs.

    Returns:
        Weights (B, inputs, outputs) and biases (B, 1, outputs) by turns, layer after layer.
    """
    parameters = []
    for num_in, num_out in itertools.pairwise([X.shape[1], *HIDDEN_SIZES, 1]):
        bound = 1 / math.sqrt(num_in)
        for shape in ((NUM_NETWORKS, num_in, num_out), (NUM_NETWORKS, 1, num_out)):
            start = torch.empty(shape).uniform_(-bound, bound, generator=generator)
            parameters.append(start.requires_grad_(True))
    optimizer = torch.optim.Adam(parameters, LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    for _ in range(NUM_STEPS):
        optimizer.zero_grad()
        loss = (forward(parameters, X) - z).square().mean(dim=1).sum()
        loss.backward()
        optimizer.step()
    return parameters


def forward(parameters: list[torch.Tensor], X: torch.Tensor) -> torch.Tensor:
    """What B networks say of (n, d) rows, shape (B, n)."""
    hidden = X.expand(len(parameters[0]), *X.shape)
    for weights, biases in zip(parameters[0::2], parameters[1::2], strict=True):
        out = torch.baddbmm(biases, hidden, weights)
        hidden = out.relu()
    return out.squeeze(-1)
