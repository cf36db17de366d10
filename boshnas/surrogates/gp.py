"""Gaussian process over mixed features, with noise that may depend on x."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from boshnas.errors import InputError
from boshnas.surrogates.base import Draw, Moments, Surrogate
from boshnas.surrogates.noise import NoiseModel
from boshnas.surrogates.process import Process
from boshnas.surrogates.repeats import Measurements


class GPSurrogate(Surrogate):
    """Exact GP: epistemic std is the latent function's, aleatoric std the measurement's.

    A Matérn-5/2 kernel with one lengthscale a group of columns plus a linear one; hyperparameters at their greatest log
    posterior, the constant mean in closed form. Lengthscales have the dimension-scaled prior, log ℓ ~ N(√2 + ½ log G,
    3). Where ten rows or more were measured several times, or with known noise, a second process learns how the noise
    depends on x; else it is one number. The linear algebra is written out: at some hundred rows gpytorch's lazy
    operators cost more than the arithmetic (a test holds both to the same numbers).

    Beyond 400 distinct rows the hyperparameters are fitted to 400 of them at random.

    Args:
        groups: Group of each column, shape (d,), see `boshnas.Pool`; features are then taken as they are, in about
            [0, 1]. None: each column is its own group, scaled to [0, 1].
        max_steps: Bound on L-BFGS iterations; a third of them where it starts from an earlier fit.
        warm_start: Whether `fit` starts from the hyperparameters of the fit before.
        random_state: Draws the rows, where there are too many.

    Reference:
        Rasmussen and Williams 2006, algorithm 2.1; Hvarfner, Hellsten, Nardi 2024, arXiv 2402.02229, section 4.
    """

    process_: Process
    noise_model_: NoiseModel | None

    def __init__(
        self,
        groups: Sequence[int] | None = None,
        max_steps: int = 40,
        warm_start: bool = False,
        random_state: int | None = None,
    ) -> None:
        self.groups = groups
        self.max_steps = max_steps
        self.warm_start = warm_start
        self.random_state = random_state

    def _set_scales(self, X: NDArray[np.float64]) -> None:
        num_features = X.shape[1]
        if self.groups is not None:
            if len(self.groups) != num_features:
                raise InputError(
                    f"GPSurrogate: groups must have one number a column ({num_features}), got {len(self.groups)}."
                )
            self.x_offset_, self.x_scale_ = np.zeros(num_features), np.ones(num_features)
            return
        span = np.ptp(X, axis=0)
        self.x_offset_ = X.min(axis=0)
        self.x_scale_ = np.where(span <= 1e-12 * np.abs(X).max(axis=0), 1.0, span)

    def _fit(self, data: Measurements) -> None:
        generator = self._generator()
        self.noise_model_ = NoiseModel.fit(data, self.groups, max_steps=self.max_steps, generator=generator)
        all_known = bool(data.known.all())
        if self.noise_model_ is not None:
            data = self.noise_model_.applied(data)
        start = self.process_.theta if self.warm_start and hasattr(self, "process_") else None
        max_steps = self.max_steps if start is None else max(1, self.max_steps // 3)
        self.process_ = Process.fit(data, self.groups, max_steps=max_steps, start=start, generator=generator)
        # A new measurement is as noisy as the known ones.
        self.noise_ = float(data.variance.mean()) if all_known else self.process_.noise

    def _condition(self, data: Measurements) -> None:
        if self.noise_model_ is not None:
            data = self.noise_model_.applied(data)
        process = self.process_
        self.process_ = Process.condition(data, process.theta, process.kernel, process.noise)

    @property
    def held_out_(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and variance of each row as predicted from the others, noise included, shape (n,) each; warped."""
        return self.process_.held_out

    def _predict(self, X: torch.Tensor) -> Moments:
        mean, variance = self.process_.moments(X)
        constant = torch.full_like(mean, self.noise_)
        noise = constant if self.noise_model_ is None else self.noise_model_.variance(X)
        return mean, variance.sqrt(), noise.sqrt()

    def _draw(self, generator: torch.Generator) -> Draw:
        return self.process_.draw(generator)
