"""Data sets of the Hugging Face hub, loaded whole: asked for with a time limit, and from the local copy without it."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import datasets

from design_space.errors import InputError
from pretrain.hub import HubSet


def load_from_hub(hub_set: HubSet, split: str | None) -> Any:
    """What `datasets` loads; a copy of an earlier call where the hub is out of reach.

    The hub is asked once, with a limit of ten seconds, before `datasets` would try for half a minute.

    Args:
        hub_set: Name and configuration.
        split: Which one; all by their names where it is None.

    Raises:
        InputError: If the hub is out of reach and there is no copy, or it has no such set, configuration or split.
    """
    try:
        hub_set.revision()
        refusal = None
    except InputError as error:
        refusal = error
    try:
        with _quiet_hub(offline=refusal is not None):
            return datasets.load_dataset(hub_set.name, hub_set.config, split=split)
    except Exception as error:  # of whichever HTTP library the hub's client uses, or any that a file of the set raises
        raise (refusal or hub_set.unreadable(error)) from None


@contextmanager
def _quiet_hub(*, offline: bool) -> Iterator[None]:
    logger, was_offline = logging.getLogger("huggingface_hub"), datasets.config.HF_HUB_OFFLINE
    level = logger.level
    logger.setLevel(logging.ERROR)  # what it warns of stands in the refusal
    datasets.config.HF_HUB_OFFLINE = offline or was_offline
    try:
        yield
    finally:
        logger.setLevel(level)
        datasets.config.HF_HUB_OFFLINE = was_offline
