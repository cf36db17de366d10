"""What can be built, and where it lies: architectures, spaces, graphs, encodings, hierarchy."""

from design_space.architecture import Architecture, Layer
from design_space.errors import InputError
from design_space.space import DesignSpace

__all__ = ["Architecture", "DesignSpace", "InputError", "Layer"]
