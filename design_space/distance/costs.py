"""What each edit of a graph costs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from design_space.graph import label_groups
from design_space.space import DesignSpace

EDGE_COST = 0.1


@dataclass(frozen=True)
class EditCosts:
    """Cost of each edit: substitution the difference of two positions, deletion and insertion the position itself.

    Attributes:
        positions: Place of each label on a line, >= 0.
        edge: Deletion or insertion of an edge; an edge between the images of its ends costs nothing.

    Reference:
        Tuli, Dedhia, Tuli, Jha (2023), "FlexiBERT", JAIR 77, section 3.2.
    """

    positions: Mapping[str, float]
    edge: float = EDGE_COST

    @classmethod
    def of(cls, space: DesignSpace, edge: float = EDGE_COST) -> Self:
        """Positions in the published order: special nodes, feed-forwards, linear transforms, attention, convolutions.

        Within a group labels ascend by size, then by parameter; a gap between two groups takes a place.
        """
        line = [label for group in label_groups(space) for label in [*group, None]]
        return cls({label: float(place) for place, label in enumerate(line) if label}, edge)
