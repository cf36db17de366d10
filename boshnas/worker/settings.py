"""What every worker of a run is told, the same for all candidates."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, PositiveFloat, PositiveInt

from finetune.arguments import FinetuneArguments
from pretrain.arguments import bf16_supported
from pretrain.config import Recipe

MAX_POSITIONS = 512


class FinetuneSettings(BaseModel):
    """How every task is fine-tuned."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_steps: int = -1
    num_train_epochs: PositiveFloat = 5.0
    per_device_train_batch_size: PositiveInt = 64
    learning_rate: PositiveFloat = 1e-4
    warmup_steps: PositiveFloat = 0.06
    max_seq_length: PositiveInt = 128
    train_sampling_strategy: str = "stratified"


class Settings(BaseModel):
    """The part of a job that is the same for all candidates of a run.

    Attributes:
        data: Source of the tasks (see `finetune.data`).
        tasks: Names of the tasks to score.
        tokenizer: Folder, relative to the run's.
        corpus: Folder of the packed corpus, relative to the run's.
        dropout: In the model, at every place.
        pretrain: Recipe of pre-training.
        finetune: Recipe of fine-tuning.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    data: str
    tasks: list[str]
    tokenizer: str
    corpus: str
    dropout: float
    pretrain: Recipe
    finetune: FinetuneSettings


def finetune_arguments(settings: FinetuneSettings, seed: int, folder: Path, batch_split: int = 1) -> FinetuneArguments:
    """Arguments of the Trainer for one task of a search."""
    return FinetuneArguments(
        output_dir=str(folder),
        seed=seed,
        disable_tqdm=True,
        bf16=bf16_supported(),
        **settings.model_dump(exclude={"max_seq_length"})
        | split_batch(settings.per_device_train_batch_size, 1, batch_split),
    )


def split_batch(batch_size: int, num_accumulated: int, split: int) -> dict[str, int]:
    """Batch and accumulated batches of the Trainer, so that a step sees as many rows in at least so many parts.

    Raises:
        MemoryError: If the batch has fewer rows than there should be parts: it cannot be made smaller.

    Example:
        >>> split_batch(12, 1, 4), split_batch(9, 2, 2)
        ({'per_device_train_batch_size': 3, 'gradient_accumulation_steps': 4}, {'per_device_train_batch_size': 3, \
'gradient_accumulation_steps': 6})
    """
    if split > batch_size:
        raise MemoryError(f"a batch of {batch_size} cannot be split into {split} parts")
    size = max(part for part in range(1, batch_size // split + 1) if batch_size % part == 0)
    return {
        "per_device_train_batch_size": size,
        "gradient_accumulation_steps": num_accumulated * batch_size // size,
    }
