"""The contract of all surrogates, and what they share: checks, scaling, units, seeds.

Symbols: n rows, d features. Inside a surrogate features are scaled and the objective is warped (see `warp`), both by
the rows of `fit`; what leaves it is in the objective's own unit.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from boshnas.errors import InputError
from boshnas.posterior import Posterior
from boshnas.surrogates.repeats import Measurements, gather
from boshnas.surrogates.training import in_blocks, one_thread
from boshnas.surrogates.warp import Warp

Moments = tuple[torch.Tensor, torch.Tensor, torch.Tensor]
"""Mean, epistemic and aleatoric standard deviation, each shape (n,)."""

Draw = Callable[[torch.Tensor], torch.Tensor]
"""A function of rows (n, d) with values (n,)."""

MAX_ROWS = 4000
"""Distinct rows that are learned from: a GP's memory grows with their square, its time with their cube."""

_KNOWN_VARIANCE_FLOOR = 1e-6  # of the warped objective


class Surrogate(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """A regressor that tells its two uncertainties apart and can be differentiated in its input.

    A subclass writes `_fit` and `_predict` in scaled units.

    Attributes:
        x_offset_: What each feature is shifted by, shape (d,).
        x_scale_: What it is divided by, shape (d,); 1 where a feature is constant.
        warp_: The objective as the surrogate sees it, and the way back.
    """

    random_state: int | None = None

    @one_thread()
    def fit(self, X: ArrayLike, y: ArrayLike, noise_std: ArrayLike | None = None) -> Self:
        """Learn from measured rows; forgets what it learned before.

        Args:
            X: Features, shape (n, d), finite, n >= 1. Rows may repeat: several measurements of one candidate. Of more
                than 4,000 distinct rows 4,000 are learned from, drawn at random.
            y: Objective, to be maximised, shape (n,), any unit.
            noise_std: Known standard deviation of each y, same unit, shape (n,), >= 0; NaN where unknown.

        Returns:
            Itself.

        Raises:
            ValueError: If X or y is malformed, or noise_std is negative or of another length.
        """
        self.fit_warped(self._measured(X, y, noise_std, is_new=True))
        return self

    @one_thread()
    def condition(self, X: ArrayLike, y: ArrayLike, noise_std: ArrayLike | None = None) -> Self:
        """Take in measurements, those of `fit` and later ones, without learning anew.

        Weights, hyperparameters, scales and the warp stay as they are; a process is conditioned on all rows. It takes a
        small part of the time of `fit`.

        Args:
            X: As for `fit`.
            y: As for `fit`.
            noise_std: As for `fit`.

        Returns:
            Itself.

        Raises:
            ValueError: As `fit`, and if there was none.
        """
        check_is_fitted(self)
        self.condition_warped(self._measured(X, y, noise_std, is_new=False))
        return self

    def posterior(self, X: ArrayLike) -> Posterior:
        """Belief about rows, shape (n, d); memory is bounded for any n."""
        check_is_fitted(self)
        rows = torch.tensor(validate_data(self, X, dtype=np.float64, reset=False))
        belief = in_blocks(lambda block: torch.stack(self._in_own_unit(*self.predict_pool(block))), rows)
        mean, epistemic, aleatoric = belief.numpy()
        return Posterior(mean, epistemic, aleatoric)

    def predict(
        self, X: ArrayLike, return_std: bool = False
    ) -> NDArray[np.float64] | tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Expected objective, shape (n,); with `return_std` also the deviation of one new measurement."""
        posterior = self.posterior(X)
        return (posterior.mean, posterior.std) if return_std else posterior.mean

    def posterior_tensors(self, X: torch.Tensor) -> Moments:
        """The same belief as tensors that autograd can differentiate twice in X.

        Args:
            X: Features, shape (n, d), float64.

        Returns:
            Mean, epistemic std and aleatoric std, each (n,) float64, in the objective's own unit.
        """
        return self._in_own_unit(*self.predict_warped(X))

    def fit_warped(self, data: Measurements) -> None:
        """Learn from distinct rows whose objective is warped already; sets the features' scales."""
        self._set_scales(data.X.numpy())
        self._fit(replace(data, X=self._scaled(data.X)))

    def condition_warped(self, data: Measurements) -> None:
        """Take in distinct rows whose objective is warped already."""
        self._condition(replace(data, X=self._scaled(data.X)))

    def predict_warped(self, X: torch.Tensor) -> Moments:
        """Belief about rows (n, d) in units of the warped objective."""
        return self._predict(self._scaled(X))

    def predict_pool(self, X: torch.Tensor) -> Moments:
        """The same where no gradient is wanted: faster, and equal but for rounding to single precision."""
        return self._predict_pool(self._scaled(X))

    def draw(self, generator: torch.Generator) -> Draw:
        """One function that is as likely as the surrogate believes: for Thompson sampling.

        Returns:
            Maps rows (n, d) to values (n,) in units of the warped objective; differentiable in the rows.
        """
        function = self._draw(generator)
        return lambda X: function(self._scaled(X))

    def _draw(self, generator: torch.Generator) -> Draw:
        """A function of scaled rows."""
        raise NotImplementedError

    def _fit(self, data: Measurements) -> None:
        """Learn from distinct rows, features scaled too."""
        raise NotImplementedError

    def _condition(self, data: Measurements) -> None:  # noqa: B027  (networks know what they have learned, no more)
        """Take in distinct rows, features scaled too."""

    def _predict(self, X: torch.Tensor) -> Moments:
        """Belief about scaled X (n, d); the two deviations are not both 0."""
        raise NotImplementedError

    def _predict_pool(self, X: torch.Tensor) -> Moments:
        return self._predict(X)

    def _measured(self, X: ArrayLike, y: ArrayLike, noise_std: ArrayLike | None, *, is_new: bool) -> Measurements:
        """Checked, objective warped, repeats together; sets the warp where this is a new fit."""
        rows, values = validate_data(self, X, y, dtype=np.float64, y_numeric=True, reset=is_new)
        values = np.asarray(values, dtype=np.float64)
        noise = None if noise_std is None else _checked_noise(noise_std, len(values))
        if is_new:
            self.warp_ = Warp.fit(values)
        if noise is not None:
            noise = noise * self.warp_.slope(values)
        data = gather(rows, self.warp_(values), noise, _KNOWN_VARIANCE_FLOOR)
        return data.at_most(MAX_ROWS, self._generator())

    def _in_own_unit(self, mean: torch.Tensor, epistemic: torch.Tensor, aleatoric: torch.Tensor) -> Moments:
        total = (epistemic.square() + aleatoric.square()).sqrt()
        own_mean, own_total = self.warp_.moments(mean, total)
        ratio = own_total / total
        return own_mean, ratio * epistemic, ratio * aleatoric

    def _set_scales(self, X: NDArray[np.float64]) -> None:
        std = X.std(axis=0)
        self.x_offset_ = X.mean(axis=0)
        self.x_scale_ = np.where(std <= 1e-12 * np.abs(X).max(axis=0), 1.0, std)

    def _scaled(self, X: torch.Tensor) -> torch.Tensor:
        return (X - torch.as_tensor(self.x_offset_)) / torch.as_tensor(self.x_scale_)

    def _generator(self) -> torch.Generator:
        """Randomness of one fit: a function of `random_state` alone, never the global state."""
        seed = np.random.SeedSequence(self.random_state).generate_state(1, np.uint64)[0]
        return torch.Generator().manual_seed(int(seed >> np.uint64(1)))


def _checked_noise(noise_std: ArrayLike, num_rows: int) -> NDArray[np.float64]:
    noise = np.asarray(noise_std, dtype=np.float64)
    if noise.shape != (num_rows,):
        raise InputError(f"fit: noise_std must have shape ({num_rows},), got {noise.shape}. Give one value a row.")
    if (noise < 0).any() or np.isinf(noise).any():
        raise InputError(
            f"fit: noise_std must be finite and >= 0, got {noise[(noise < 0) | np.isinf(noise)][0]!r}. "
            "Use NaN where the noise is unknown."
        )
    return noise
