"""`python -m boshnas.worker JOB`: train and score one architecture."""

import errno
import json
import logging
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from transformers.utils import logging as transformers_logging

from boshnas.errors import InputError
from boshnas.executors import exit_with_driver
from boshnas.executors.outcome import EXIT_BAD_INPUT, EXIT_DISK_FULL, raised_result
from boshnas.job import JOBS_FOLDER, RESULT_FILE, Job, Result, read_model, write_model
from boshnas.trial import Status
from boshnas.version import VERSION
from boshnas.worker.evaluation import evaluate
from design_space.errors import InputError as SpaceInputError
from pretrain.callbacks import DivergedError
from pretrain.interrupt import StoppedError

_FULL_DISK = (errno.ENOSPC, errno.EDQUOT)
# Errors of torch, safetensors and CUDA have no type or number of their own for these; torch.save tells a full disk only
# by a file that is shorter than it should be.
_DISK_FULL_WORDS = tuple(
    word for number in _FULL_DISK for word in (f"os error {number})", f"[Errno {number}]", os.strerror(number))
) + ("PytorchStreamWriter failed writing", ". unexpected pos ")
_OUT_OF_MEMORY_WORDS = ("can't allocate memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUDA error: out of memory")


def failure(job: Job, error: Exception) -> Result:
    """The result of an evaluation that raised, by the error or by what led to it."""
    if isinstance(error, DivergedError | FloatingPointError):
        status = Status.DIVERGED
    elif any(map(_is_out_of_memory, _chain(error))):
        status = Status.OUT_OF_MEMORY
    elif any(map(_is_full_disk, _chain(error))):
        status = Status.DISK_FULL
    elif isinstance(error, InputError | SpaceInputError):
        status = Status.BAD_INPUT
    else:
        status = Status.CRASHED
    return raised_result(job, error, status)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An error, then what led to it."""
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        yield link
        seen.add(id(link))
        link = link.__cause__ or link.__context__


def _is_out_of_memory(error: BaseException) -> bool:
    is_said = any(word in str(error) for word in _OUT_OF_MEMORY_WORDS)
    return is_said or isinstance(error, MemoryError | torch.OutOfMemoryError)


def _is_full_disk(error: BaseException) -> bool:
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno in _FULL_DISK
    return any(word in str(error) for word in _DISK_FULL_WORDS)


def main(words: Sequence[str]) -> int:
    """Run the job of a file and write its result beside it.

    Returns:
        0 where it finished, 1 where it failed, 2 where the job cannot be read, 228 where the disk has no room for the
        result, 143 where it was asked to end and left a checkpoint.
    """
    exit_with_driver()
    if len(words) != 1:
        sys.stderr.write(f"boshnas.worker: must be given one job.json, got {len(words)} words.\n")
        return EXIT_BAD_INPUT
    path = Path(words[0]).resolve()
    try:
        job = read_model(path, Job)
        if path.parent.parent.name != JOBS_FOLDER:
            raise InputError(f"{path}: must lie in RUN/{JOBS_FOLDER}/NUMBER, does not. Let the search write it.")
    except InputError as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_BAD_INPUT
    try:
        _require_version(job)
        result = evaluate(job, path.parent, path.parents[2])
    except StoppedError as error:
        sys.stderr.write(f"{error}\n")
        return 128 + signal.SIGTERM
    except Exception as error:  # whatever it is, the search must learn of it and go on
        logging.getLogger(__name__).exception("evaluation %d failed", job.number)
        result = failure(job, error)
    try:
        write_model(path.parent / RESULT_FILE, result)
    except OSError as error:
        sys.stderr.write(f"{path.parent / RESULT_FILE}: cannot be written: {error.strerror}\n")
        return EXIT_DISK_FULL if error.errno in _FULL_DISK else 1
    sys.stdout.write(json.dumps({"status": result.status, "score": result.score}) + "\n")
    return 0 if result.status is Status.FINISHED else 1


def _require_version(job: Job) -> None:
    if job.version != VERSION:
        raise InputError(
            f"job.json: version must be that of this worker, {VERSION}, got {job.version}: scores of two versions do "
            "not compare. Install the same on every machine."
        )


if __name__ == "__main__":
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    raise SystemExit(main(sys.argv[1:]))
