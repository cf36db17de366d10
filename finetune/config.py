"""What a fine-tuning run is told: its own flags, and those of transformers."""

from dataclasses import dataclass, field

import torch
from transformers import TrainingArguments


@dataclass
class FinetuneConfig:
    """Flags of fine-tuning that transformers does not have."""

    model_name_or_path: str = field(default="", metadata={"help": "Checkpoint: a folder or a hub name."})
    task_name: str = field(
        default="", metadata={"help": "A task of GLUE, several separated by commas, or 'all' that the data has."}
    )
    data: str = field(
        default="demo",
        metadata={"help": "'demo' (synthetic), 'glue' (the hub), or a folder with one folder a task."},
    )
    max_seq_length: int = field(default=128, metadata={"help": "Tokens after which a pair is cut."})
    max_train_samples: int | None = field(default=None, metadata={"help": "Use the first N training rows only."})
    max_eval_samples: int | None = field(default=None, metadata={"help": "Score on the first N rows only."})
    json: bool = field(default=False, metadata={"help": "Print the result as one JSON line."})


@dataclass
class FinetuneArguments(TrainingArguments):
    """Arguments of the transformers Trainer with defaults for small encoders on GLUE."""

    output_dir: str = field(default="", metadata={"help": "Where models and results go; nothing is kept where absent."})
    learning_rate: float = field(default=1e-4, metadata={"help": "Peak learning rate."})
    weight_decay: float = field(default=0.01, metadata={"help": "Decoupled weight decay."})
    warmup_steps: float = field(default=0.06, metadata={"help": "Steps of linear warm-up, or their share below 1."})
    num_train_epochs: float = field(default=5.0, metadata={"help": "Passes over the training rows."})
    per_device_train_batch_size: int = field(default=32, metadata={"help": "Rows a device and step."})
    per_device_eval_batch_size: int = field(default=128, metadata={"help": "Rows a device when scoring."})
    logging_steps: float = field(default=10, metadata={"help": "Steps between two logged losses."})
    logging_nan_inf_filter: bool = field(default=False, metadata={"help": "Hide NaN losses from the log."})
    stratify: bool = field(default=False, metadata={"help": "Spread the labels evenly over the batches."})
    save_strategy: str = field(default="no", metadata={"help": "When to keep intermediate checkpoints."})
    report_to: str = field(default="none", metadata={"help": "Where transformers reports to."})
    dataloader_pin_memory: bool = field(
        default_factory=torch.cuda.is_available, metadata={"help": "Page-locked batches, for GPUs."}
    )
