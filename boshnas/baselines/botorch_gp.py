"""BoTorch's Gaussian process with logarithmic expected improvement; needs the optional package botorch.

Symbols: m values told, f free candidates, d features.
"""

import logging
from importlib import import_module

import numpy as np
import torch

from boshnas.baselines.improvement import ImprovementSearcher, Values
from boshnas.errors import InputError
from boshnas.maximize import Box
from boshnas.pool import Pool

INSTALL = "must have the package botorch, which is not installed. Run: pip install -c constraints.txt -e '.[bench]'"

_BLOCK = 1024  # candidates at a time: a posterior is joint, its memory the square of this
_LOGGER = logging.getLogger(__name__)


class BotorchSearcher(ImprovementSearcher):
    """BoTorch's `SingleTaskGP` as it comes, fitted by BoTorch, features scaled to [0, 1] as it wants them.

    The likelihood that it climbs is written out (`botorch_likelihood`), so its seconds a proposal are fewer than those
    of BoTorch alone.

    Args:
        pool: Every candidate there is.
        seed: Of the search, >= 0.

    Raises:
        InputError: If botorch is not installed.

    Reference:
        Balandat et al. 2020, arXiv 1910.06403.
    """

    def __init__(self, pool: Pool, *, seed: int = 0) -> None:
        super().__init__(pool, seed=seed)
        try:
            import_module("botorch")
        except ImportError:
            raise InputError(f"BotorchSearcher: {INSTALL}") from None

    def _predict(self, X: Values, z: Values, candidates: Values, rng: np.random.Generator) -> tuple[Values, Values]:
        from botorch.exceptions.errors import ModelFittingError
        from botorch.fit import fit_gpytorch_mll
        from botorch.models import SingleTaskGP
        from gpytorch.mlls import ExactMarginalLogLikelihood

        from boshnas.baselines.botorch_likelihood import loss_closure

        box = Box(self.pool.X)
        model = SingleTaskGP(torch.tensor(box.to_unit(X)), torch.tensor(z)[:, None])
        try:
            mll = ExactMarginalLogLikelihood(model.likelihood, model)
            fit_gpytorch_mll(mll, closure=loss_closure(mll))
        except ModelFittingError as error:
            _LOGGER.info("BoTorch could not fit its model to %d values and uses its start: %s", len(z), error)
        with torch.no_grad():
            blocks = [model.posterior(block) for block in torch.tensor(box.to_unit(candidates)).split(_BLOCK)]
            mean = torch.cat([block.mean for block in blocks]).squeeze(-1)
            variance = torch.cat([block.variance for block in blocks]).squeeze(-1)
        return mean.numpy(), variance.sqrt().numpy()
