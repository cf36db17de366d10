"""Points in 16 dimensions whose Euclidean distances fit graph distances.

A sample of architectures, the landmarks, is embedded by stress majorisation: from classical scaling on, each point goes
to the mean of what the others ask for, x_i ← (1/L) Σ_j (x_j + δ_ij (x_i − x_j)/‖x_i − x_j‖), which never raises
the stress Σ (δ_ij − ‖x_i − x_j‖)². Everything else, then or later, is placed by the same step against the landmarks
alone, so that a new architecture needs no refit.

Reference:
    de Leeuw (1977), "Applications of convex analysis to multidimensional scaling"; Borg and Groenen (2005), "Modern
    Multidimensional Scaling", chapter 8 (the step above is equation 8.29 with unit weights) and section 8.6 (relaxed
    updates); de Silva and Tenenbaum (2004), "Sparse multidimensional scaling using landmark points".
"""

import json
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from design_space.architecture import Architecture
from design_space.distance import EditCosts, Graphs, edit_distances
from design_space.errors import InputError
from design_space.files import written_whole
from design_space.progress import Report
from design_space.space import DesignSpace

DIMENSIONS = 16
NUM_LANDMARKS = 300
_NUM_STEPS = 150
_NUM_PLACING_STEPS = 30
_BLOCK = 2048
# What numpy and zipfile raise on files that are damaged, or are something else.
_UNREADABLE = (OSError, KeyError, ValueError, TypeError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error)

Points = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Embedding:
    """Landmarks with their points; places any architecture of the space.

    Attributes:
        landmarks: L architectures.
        points: Shape (L, dimensions).
        costs: Of the graph edits.
        stress: √(Σ (δ − d)² / Σ δ²) over all pairs of landmarks.

    Example:
        >>> space = DesignSpace.load("nas_bench_bert")
        >>> embedding = Embedding.fit(space, space.sample(2, 60, np.random.default_rng(0)), seed=0)
        >>> embedding.place(space.sample(2, 3, np.random.default_rng(1))).shape
        (3, 16)
    """

    landmarks: tuple[Architecture, ...]
    points: Points
    costs: EditCosts
    stress: float

    @classmethod
    def fit(
        cls,
        space: DesignSpace,
        architectures: Sequence[Architecture],
        *,
        dimensions: int = DIMENSIONS,
        num_landmarks: int = NUM_LANDMARKS,
        seed: int = 0,
    ) -> Self:
        """Embed a random sample of architectures.

        Args:
            space: Gives the order of labels.
            architectures: What landmarks are drawn from, without replacement.
            dimensions: Of the points, less than the number of landmarks.
            num_landmarks: At most so many.
            seed: Of the draw; the rest is deterministic.

        Raises:
            InputError: If there are not more landmarks than dimensions.
        """
        number = min(num_landmarks, len(architectures))
        if number <= dimensions:
            raise InputError(f"embedding: {dimensions} dimensions need more than {dimensions} landmarks, got {number}.")
        drawn = np.random.default_rng(seed).choice(len(architectures), number, replace=False)
        landmarks = tuple(architectures[index] for index in np.sort(drawn))
        costs = EditCosts.of(space)
        targets = edit_distances(Graphs(landmarks, costs), reorder=False).astype(np.float64)
        points = majorise(targets, classical_scaling(targets, dimensions))
        return cls(landmarks, points, costs, stress(targets, cdist(points, points)))

    def place(self, architectures: Sequence[Architecture], report: Report | None = None) -> Points:
        """Points of architectures, by their distances to the landmarks.

        Args:
            architectures: n architectures, landmarks or not.
            report: Told how many are placed, and n.

        Returns:
            Shape (n, dimensions).
        """
        placed = np.empty((len(architectures), self.points.shape[1]))
        for start in range(0, len(architectures), _BLOCK):
            graphs = Graphs(architectures[start : start + _BLOCK], self.costs)
            targets = edit_distances(graphs, self._graphs, reorder=False).astype(np.float64)
            placed[start : start + _BLOCK] = self._place(targets)
            if report is not None:
                report(min(start + _BLOCK, len(architectures)), len(architectures))
        return placed

    @cached_property
    def _graphs(self) -> Graphs:
        return Graphs(self.landmarks, self.costs)

    @cached_property
    def _centre(self) -> Points:
        return np.asarray(self.points.mean(axis=0))

    @cached_property
    def _inverse(self) -> Points:
        """Pseudo-inverse of the centred landmarks, shape (dimensions, L)."""
        return np.asarray(np.linalg.pinv(self.points - self._centre), dtype=np.float64)

    def _place(self, targets: Points) -> Points:
        """Least squares on squared distances as a start, then the majorisation step against fixed landmarks."""
        fixed = self.points - self._centre
        powers = (targets**2 - (fixed**2).sum(axis=1)) / -2
        points = (powers - powers.mean(axis=1, keepdims=True)) @ self._inverse.T
        for step in range(_NUM_PLACING_STEPS):
            ratios = targets / np.maximum(cdist(points, fixed), 1e-9)
            moved = (ratios.sum(axis=1, keepdims=True) * points - ratios @ fixed) / len(fixed)
            points = moved if step == _NUM_PLACING_STEPS - 1 else 2 * moved - points
        return np.asarray(points + self._centre)

    def save(self, path: Path, ids: Sequence[str], points: Points) -> None:
        """Write the points of architectures, keyed by id, and the landmarks that place others.

        Args:
            path: Of an npz file.
            ids: n ids.
            points: Shape (n, dimensions).
        """
        labels = sorted(self.costs.positions)
        with written_whole(path) as file:
            np.savez_compressed(
                file,
                allow_pickle=False,
                ids=np.array(ids, dtype="U16"),
                points=points.astype(np.float32),
                landmarks=np.array([json.dumps(each.to_model_dict()) for each in self.landmarks]),
                landmark_points=self.points,
                labels=np.array(labels),
                positions=np.array([self.costs.positions[label] for label in labels]),
                edge_cost=self.costs.edge,
                stress=self.stress,
            )

    @classmethod
    def load(cls, path: str | Path) -> tuple[Self, dict[str, Points]]:
        """Read what `save` wrote.

        Returns:
            The embedding, and the points by id.

        Raises:
            InputError: If it is not such a file.
        """
        try:
            with np.load(path, allow_pickle=False) as content:
                arrays = {name: content[name] for name in content.files}
            positions = dict(zip(arrays["labels"].tolist(), arrays["positions"].astype(float).tolist(), strict=True))
            costs = EditCosts(positions, float(arrays["edge_cost"]))
            landmarks = tuple(Architecture.from_json(text) for text in arrays["landmarks"].tolist())
            landmark_points = arrays["landmark_points"].astype(np.float64)
            if landmark_points.shape[:-1] != (len(landmarks),) or not np.isfinite(landmark_points).all():
                raise ValueError("its points do not fit its landmarks")
            embedding = cls(landmarks, landmark_points, costs, float(arrays["stress"]))
            by_id = dict(zip(arrays["ids"].tolist(), arrays["points"].astype(np.float64), strict=True))
        except _UNREADABLE as error:
            raise InputError(f"{path}: must be a file that `embed` wrote ({str(error):.80}).") from None
        return embedding, by_id


def stress(targets: Points, distances: Points) -> float:
    """Normalised stress √(Σ (δ − d)² / Σ δ²), 0 for a perfect fit."""
    total = float((targets**2).sum())
    return float(np.sqrt(((targets - distances) ** 2).sum() / total)) if total else 0.0


def classical_scaling(targets: Points, dimensions: int) -> Points:
    """Points from the greatest eigenvalues of the doubly centred squared distances (Torgerson 1952).

    Args:
        targets: Symmetric distances, shape (L, L).
        dimensions: Of the points.

    Returns:
        Shape (L, dimensions).
    """
    squares = targets**2
    means = squares.mean(axis=0)
    values, vectors = np.linalg.eigh((means[:, None] + means - squares - means.mean()) / 2)
    signs = np.sign(vectors[np.abs(vectors).argmax(axis=0), np.arange(len(vectors))])
    points = (vectors * signs)[:, ::-1][:, :dimensions] * np.sqrt(np.clip(values[::-1][:dimensions], 0, None))
    return np.asarray(points)


def majorise(targets: Points, points: Points, num_steps: int = _NUM_STEPS) -> Points:
    """Lower the stress step by step; steps but the first five are taken twice as far, which speeds them up.

    Args:
        targets: Symmetric distances, shape (L, L).
        points: Start, shape (L, dimensions).
        num_steps: How many.

    Returns:
        Shape (L, dimensions).
    """
    for step in range(num_steps):
        distances = cdist(points, points)
        np.fill_diagonal(distances, 1)
        ratios = targets / np.maximum(distances, 1e-9)
        moved = (ratios.sum(axis=1, keepdims=True) * points - ratios @ points) / len(points)
        points = moved if step < 5 or step == num_steps - 1 else 2 * moved - points
    return points
