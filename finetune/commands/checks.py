"""What every command that trains refuses before it reads rows."""

import math

from design_space.errors import InputError
from finetune.arguments import FinetuneArguments
from finetune.config import RunsConfig
from finetune.optimizers.choice import OURS, chosen
from finetune.output_folder import require_free
from finetune.tuning.settings import Tuning
from pretrain.arguments import require_finite, require_reporters

_LEAST = {
    "max_train_samples": 1,
    "max_eval_samples": 1,
    "max_predict_samples": 1,
    "max_seq_length": 8,  # two texts, what stands between them, and a token of each
    "num_runs": 1,
    "doc_stride": 0,
    "n_best_size": 1,
    "max_answer_length": 1,
    "max_target_length": 2,  # a token and the end
    "num_beams": 1,
    "autotune": 0,
    "early_stopping_patience": 1,
    "per_device_train_batch_size": 1,
    "per_device_eval_batch_size": 1,
    "gradient_accumulation_steps": 1,
    "weight_decay": 0,
}

OF_TUNINGS = {
    "adapter_reduction_factor": ("adapter",),
    "lora_rank": ("lora",),
    "lora_alpha": ("lora",),
    "lora_target_modules": ("lora",),
    "num_virtual_tokens": ("prompt", "prefix"),
    "reparameterization_size": ("prompt", "prefix"),
}
"""Flags, and the ways of tuning that they are for."""

_NOT_DONE = {
    "resume_from_checkpoint": "Runs leave nothing to go on from: give --resume for those that are finished.",
    "prediction_loss_only": "Scores need predictions: leave it out.",
    "push_to_hub": "Upload the folder 'model' of the results with 'hf upload'.",
}
"""Arguments of the Trainer without a use here."""


def check(config: RunsConfig, training: FinetuneArguments) -> None:
    """Refuse what cannot be run.

    Raises:
        InputError: With the flag's name.
    """
    if not config.model_name_or_path:
        raise InputError("--model_name_or_path: must name a checkpoint. Give a folder or a hub name.")
    require_free(training.output_dir, resume=config.resume)
    for name, way_out in _NOT_DONE.items():
        if getattr(training, name):
            raise InputError(f"--{name}: is not done here. {way_out}")
    require_reporters(training.report_to)
    if training.optim in OURS:
        chosen(training)
    for name, least in _LEAST.items():
        value = getattr(config, name, None) if hasattr(config, name) else getattr(training, name, None)
        if value is not None and value < least:
            raise InputError(f"--{name}: must be at least {least}, got {value}.")
    for name in ("learning_rate", "head_learning_rate", "num_train_epochs"):
        value = getattr(training, name)
        if value is not None and not 0 < value < math.inf:
            raise InputError(f"--{name}: must be above 0 and finite, got {value}.")
    require_finite(config, training)
    given, left_out = training.tuned(), Tuning(method=training.tuning)
    for name, methods in OF_TUNINGS.items():
        if training.tuning not in methods and getattr(given, name) != getattr(left_out, name):
            raise InputError(
                f"--{name}: is for --tuning {' and '.join(methods)}, got --tuning {training.tuning}. Leave it out."
            )
    if not 0 < training.layerwise_lr_decay <= 1:
        raise InputError(f"--layerwise_lr_decay: must be in (0, 1], got {training.layerwise_lr_decay}.")


def seeds_of(config: RunsConfig, training: FinetuneArguments) -> list[int]:
    """The seeds of the runs.

    Raises:
        InputError: If they are given twice, or one of them twice.
    """
    if config.seeds and config.num_runs is not None:
        raise InputError("--seeds: must not be given with --num_runs. Leave one of them out.")
    if len(set(config.seeds)) < len(config.seeds):
        raise InputError(f"--seeds: must differ, got {', '.join(map(str, config.seeds))}.")
    seeds = config.seeds or list(range(training.seed, training.seed + (config.num_runs or 1)))
    for seed in seeds:
        if not 0 <= seed < 2**32:
            raise InputError(f"{'--seeds' if config.seeds else '--seed'}: must be from 0 to 2^32 - 1, got {seed}.")
    return seeds


def require_one_process(option: str, training: FinetuneArguments) -> None:
    """Refuse what `torchrun` cannot divide among its processes."""
    if training.world_size > 1:
        raise InputError(f"{option}: is for one process, there are {training.world_size}. Leave torchrun out.")
