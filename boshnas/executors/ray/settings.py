"""What is asked of Ray for each evaluation."""

import re
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator

from boshnas.validation import Amount, Count

_ADDRESS = re.compile(r"auto|[^\s:/]+:\d{1,5}")


class RaySettings(BaseModel):
    """Where the cluster is and what one evaluation takes of it.

    Attributes:
        address: `HOST:PORT` of a cluster, "auto" for the one that this machine belongs to; None: Ray is started on this
            machine and ends with the search.
        num_cpus: Cores an evaluation, also the threads it computes with.
        num_gpus: GPUs an evaluation: a fraction of one, or a whole number.
        memory_gib: Main memory an evaluation, in GiB. Ray counts it when it places tasks, and does not enforce it.
        max_retries: How often Ray itself runs a task again whose node or Ray worker died.
        max_in_flight: Evaluations at a time; None: as many as fit on the nodes that are up at the start.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    address: str | None = None
    num_cpus: Amount = 1.0
    num_gpus: Annotated[float, Field(strict=True, ge=0, le=1e9)] = 0.0
    memory_gib: Amount | None = None
    max_retries: Annotated[int, Field(strict=True, ge=0, le=100_000)] = 3
    max_in_flight: Count | None = None

    @field_validator("address")
    @classmethod
    def _check_address(cls, address: str | None) -> str | None:
        if address is not None and not _ADDRESS.fullmatch(address):
            raise ValueError("must be 'auto' or HOST:PORT")
        return address

    @field_validator("num_gpus")
    @classmethod
    def _check_num_gpus(cls, num_gpus: float) -> float:
        if num_gpus > 1 and num_gpus != int(num_gpus):
            raise ValueError("must be a fraction of one GPU or a whole number")
        return num_gpus
