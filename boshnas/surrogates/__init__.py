"""What the search believes about architectures that it has not measured."""

from boshnas.surrogates.base import Surrogate
from boshnas.surrogates.combined import CombinedSurrogate
from boshnas.surrogates.gp import GPSurrogate
from boshnas.surrogates.npn import NPNSurrogate
from boshnas.surrogates.saving import load, save
from boshnas.surrogates.teacher_student import TeacherStudentSurrogate

__all__ = [
    "CombinedSurrogate",
    "GPSurrogate",
    "NPNSurrogate",
    "Surrogate",
    "TeacherStudentSurrogate",
    "default",
    "load",
    "save",
]


def default(random_state: int | None = None) -> Surrogate:
    """The surrogate that the search uses unless told otherwise."""
    return CombinedSurrogate(random_state=random_state)
