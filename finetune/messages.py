"""What a process of this package tells, and what of its libraries it does not."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from transformers.utils import logging as transformers_logging


def quieten() -> None:
    """Warnings and this package's own messages on stderr, as plain lines; no bars or load reports of transformers."""
    logging.basicConfig(format="%(message)s", stream=sys.stderr)
    logging.getLogger("finetune").setLevel(logging.INFO)
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()


@contextmanager
def silence() -> Iterator[None]:
    """Tell nothing of what is done twice."""
    logger = logging.getLogger("finetune")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)
