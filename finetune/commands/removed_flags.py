"""What became of the flags that `run_glue.py` and `run_qa.py` took with transformers 2 to 4, in one table.

What they did is told by `TrainingArguments` of transformers 3.0 to 4.57 and by the two scripts; what is left of
them, by `TrainingArguments` of transformers 5.23. A flag that chose only where or how fast something is computed, or
what is logged, is dropped; one that would change the scores and has no successor is refused.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Removed:
    """What became of a flag; one without a successor is dropped.

    Attributes:
        is_switch: It is true or false, and true where it stands alone; others take one value.
        becomes: The flag that takes its value now.
        form: The new value, with "%s" for the old one.
        values: The only values that can be translated, each with the flag and value that it is now, or None for none.
        accepts: Whether an old value can be translated, told the values of all flags of the command line too.
        rule: What `accepts` asks for.
        note: What the user may want to know of the successor, or of what is done without one.
        way_out: What to do where a value cannot be translated.
    """

    is_switch: bool = False
    becomes: str | None = None
    form: str = "%s"
    values: Mapping[str, tuple[str, str] | None] | None = None
    accepts: Callable[[str, Mapping[str, str | None]], bool] = lambda value, given: True
    rule: str = ""
    note: str = ""
    way_out: str = ""


def _is_share(value: str, _: Mapping[str, str | None]) -> bool:
    try:
        return 0 <= float(value) < 1
    except ValueError:
        return False


_ONE_PRECISION = Removed(
    values={"auto": None, "amp": None, "cuda_amp": None, "cpu_amp": None},
    note="--fp16 and --bf16 are PyTorch's mixed precision",
    way_out="Leave it out: --fp16 is PyTorch's mixed precision, whose scores are not those of Apex.",
)

_OF_THE_CHECKPOINT = Removed(
    accepts=lambda value, given: value in ("", given.get("model_name_or_path")),
    rule="that of --model_name_or_path",
    note="a checkpoint comes with its own",
    way_out="Save what it names in the checkpoint's folder, and leave it out.",
)
_TOKENIZER_KIND = Removed(
    is_switch=True, note="the tokenizer that comes with the checkpoint is used, fast where it can be"
)
_PADDING = Removed(is_switch=True, note="batches are padded to their longest row, which changes no score")
_DEBUGGER = Removed(note="start the command under a debugger instead")

REMOVED: dict[str, Removed] = {
    # The checkpoint, and how it is fetched
    "config_name": _OF_THE_CHECKPOINT,
    "tokenizer_name": _OF_THE_CHECKPOINT,
    "model_type": Removed(note="config.json says it"),
    "model_revision": Removed(
        values={"main": None},
        way_out="Give the folder that 'hf download NAME --revision REVISION' prints as --model_name_or_path.",
    ),
    "trust_remote_code": Removed(
        is_switch=True,
        values={"false": None},
        way_out="Leave it out: code that comes with a checkpoint is not run.",
    ),
    "ignore_mismatched_sizes": Removed(is_switch=True, note="a head of another size is always made anew"),
    "use_fast_tokenizer": _TOKENIZER_KIND,
    "no_use_fast_tokenizer": _TOKENIZER_KIND,
    "do_lower_case": Removed(is_switch=True, note="the tokenizer that comes with the checkpoint decides"),
    "cache_dir": Removed(note="the environment variable HF_HOME names the cache"),
    "token": Removed(note="the environment variable HF_TOKEN, or the token of 'hf auth login', is used"),
    "use_auth_token": Removed(is_switch=True, note="the token of 'hf auth login' is used without being asked for"),
    # Rows
    "data_dir": Removed(values={}, way_out="Give --data with the folder that holds one folder a task."),
    "label_column_name": Removed(becomes="--label_column"),
    "text_column_names": Removed(
        becomes="--text_columns",
        accepts=lambda value, given: "," not in value,
        rule="one column",
        way_out="Give --text_columns A B: they are a pair then, not joined.",
    ),
    "overwrite_cache": Removed(is_switch=True, note="tokens are not cached"),
    "preprocessing_num_workers": Removed(note="texts become tokens on all cores"),
    "pad_to_max_length": _PADDING,
    "no_pad_to_max_length": _PADDING,
    # Where results go
    "overwrite_output_dir": Removed(
        is_switch=True, note="a folder with a result is not written over, give a new --output_dir"
    ),
    "logging_dir": Removed(note="the environment variable TENSORBOARD_LOGGING_DIR names TensorBoard's folder"),
    "save_safetensors": Removed(is_switch=True, note="weights are always saved as safetensors"),
    "no_save_safetensors": Removed(is_switch=True, note="weights are always saved as safetensors"),
    "push_to_hub_token": Removed(becomes="--hub_token"),
    "push_to_hub_model_id": Removed(becomes="--hub_model_id"),
    "push_to_hub_organization": Removed(values={}, way_out="Give --hub_model_id ORGANIZATION/NAME."),
    # When to score, and how much
    "evaluation_strategy": Removed(becomes="--eval_strategy"),
    "evaluate_during_training": Removed(is_switch=True, values={"true": ("--eval_strategy", "steps"), "false": None}),
    "max_val_samples": Removed(becomes="--max_eval_samples"),
    "max_test_samples": Removed(becomes="--max_predict_samples"),
    "include_inputs_for_metrics": Removed(
        is_switch=True, values={"true": ("--include_for_metrics", "inputs"), "false": None}
    ),
    "eval_all_checkpoints": Removed(is_switch=True, note="--eval_strategy scores while it trains"),
    "use_legacy_prediction_loop": Removed(is_switch=True, note="there is one way to predict, with the same outcome"),
    "past_index": Removed(
        values={"-1": None}, way_out="Leave it out: no state is carried from one batch to the next any more."
    ),
    # Batches and steps
    "per_gpu_train_batch_size": Removed(becomes="--per_device_train_batch_size"),
    "per_gpu_eval_batch_size": Removed(becomes="--per_device_eval_batch_size"),
    "warmup_ratio": Removed(
        becomes="--warmup_steps",
        accepts=_is_share,
        rule="at least 0 and below 1",
        note="below 1 it is a share of all steps",
        way_out="Give the number of steps as --warmup_steps.",
    ),
    "adafactor": Removed(is_switch=True, values={"true": ("--optim", "adafactor"), "false": None}),
    "group_by_length": Removed(
        is_switch=True,
        values={
            "true": ("--train_sampling_strategy", "group_by_length"),
            "false": ("--train_sampling_strategy", "random"),
        },
    ),
    "split_batches": Removed(
        is_switch=True,
        values={
            "true": ("--accelerator_config", '{"split_batches": true}'),
            "false": ("--accelerator_config", '{"split_batches": false}'),
        },
    ),
    "dispatch_batches": Removed(
        is_switch=True,
        values={
            "true": ("--accelerator_config", '{"dispatch_batches": true}'),
            "false": ("--accelerator_config", '{"dispatch_batches": false}'),
        },
    ),
    # Devices, precision and speed
    "no_cuda": Removed(is_switch=True, becomes="--use_cpu"),
    "use_mps_device": Removed(is_switch=True, note="an Apple GPU is used where there is one, unless --use_cpu"),
    "tpu_num_cores": Removed(note="the launcher starts the processes"),
    "tpu_metrics_debug": Removed(is_switch=True, values={"true": ("--debug", "tpu_metrics_debug"), "false": None}),
    "fp16_opt_level": Removed(note="Apex alone had levels; --fp16 and --bf16 are PyTorch's mixed precision"),
    "half_precision_backend": _ONE_PRECISION,
    "fp16_backend": _ONE_PRECISION,
    "jit_mode_eval": Removed(is_switch=True, note="--torch_compile is there for speed"),
    "use_ipex": Removed(is_switch=True, note="--torch_compile is there for speed"),
    "torchdynamo": Removed(becomes="--torch_compile_backend"),
    "xpu_backend": Removed(
        values={
            "ccl": ("--ddp_backend", "xccl"),
            "gloo": ("--ddp_backend", "gloo"),
            "mpi": ("--ddp_backend", "mpi"),
        },
        way_out="Give --ddp_backend.",
    ),
    "sharded_ddp": Removed(note="every process holds the whole model, unless --fsdp"),
    "fsdp_min_num_params": Removed(becomes="--fsdp_config", form='{"min_num_params": %s}'),
    "fsdp_transformer_layer_cls_to_wrap": Removed(
        becomes="--fsdp_config", form='{"transformer_layer_cls_to_wrap": ["%s"]}'
    ),
    # What others than the Trainer read, and the log
    "ray_scope": Removed(note="searches with Ray alone read it"),
    "mp_parameters": Removed(note="SageMaker's launcher alone read it"),
    "include_tokens_per_second": Removed(is_switch=True, note="--include_num_input_tokens_seen logs tokens"),
    "server_ip": _DEBUGGER,
    "server_port": _DEBUGGER,
}
"""Every flag that is gone, without its dashes."""

REMOVED_VALUES: dict[tuple[str, str], Removed] = {
    ("optim", "adamw_hf"): Removed(
        values={"adamw_hf": ("--optim", "adamw_torch")}, note="transformers' own AdamW is gone"
    ),
    ("optim", "adamw_apex_fused"): Removed(
        values={"adamw_apex_fused": ("--optim", "adamw_torch_fused")}, note="that of Apex is gone"
    ),
}
"""Every value that is gone of a flag that is not."""
