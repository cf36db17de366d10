"""How unlike two architectures are: by graph edits, by Weisfeiler-Lehman features, or by their plain choices."""

from design_space.distance.arrays import Graphs
from design_space.distance.costs import EditCosts
from design_space.distance.edit import edit_distances, lower_bounds
from design_space.distance.matrix import KINDS, Kind, cached_distances, distances
from design_space.distance.weisfeiler_lehman import wl_distances, wl_features

__all__ = [
    "KINDS",
    "EditCosts",
    "Graphs",
    "Kind",
    "cached_distances",
    "distances",
    "edit_distances",
    "lower_bounds",
    "wl_distances",
    "wl_features",
]
