"""What can be built, and where it lies: architectures, spaces, graphs, encodings, hierarchy."""

from design_space.architecture import Architecture
from design_space.errors import InputError
from design_space.layer import Head, Layer, MixedLayer
from design_space.space import DesignSpace

__all__ = ["Architecture", "DesignSpace", "Head", "InputError", "Layer", "MixedLayer"]
