"""How evaluations share this machine, as a file says it."""

from pydantic import BaseModel, ConfigDict

from boshnas.validation import Amount, Count


class LocalSettings(BaseModel):
    """How evaluations share this machine.

    Attributes:
        num_slots: Evaluations at a time; None: the search decides.
        gpus: Values for CUDA_VISIBLE_DEVICES, dealt out to the slots in turn; None: those that are there.
        num_threads: Of each evaluation; None: the cores divided by the slots.
        time_limit_s: Longest run of one evaluation, in seconds; None: no limit.
        memory_gib: Most memory of one evaluation with all its processes, in GiB; None: no limit.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, coerce_numbers_to_str=True)

    num_slots: Count | None = None
    gpus: tuple[str, ...] | None = None
    num_threads: Count | None = None
    time_limit_s: Amount | None = None
    memory_gib: Amount | None = None
