"""The table of removed flags: each of them in its new words; none is missing, none is still there."""

from dataclasses import fields

import pytest
from transformers.training_args import OptimizerNames

from finetune.arguments import FinetuneArguments
from finetune.commands.flags import translate
from finetune.commands.removed_flags import REMOVED, REMOVED_VALUES
from finetune.commands.suite import GlueConfig
from finetune.config import FinetuneConfig
from pretrain.command_line import FlagParser

# Fields of TrainingArguments in transformers 3.0, 3.5, 4.0, 4.2, 4.6, 4.10, 4.20, 4.30, 4.36, 4.44, 4.48, 4.57 or 5.0
# that 5.23 does not have.
FORMER_FIELDS = """
    adafactor dispatch_batches evaluate_during_training evaluation_strategy fp16_backend fp16_opt_level
    fsdp_min_num_params fsdp_transformer_layer_cls_to_wrap group_by_length half_precision_backend
    include_inputs_for_metrics include_tokens_per_second jit_mode_eval logging_dir mp_parameters no_cuda
    overwrite_output_dir past_index per_gpu_eval_batch_size per_gpu_train_batch_size push_to_hub_model_id
    push_to_hub_organization push_to_hub_token ray_scope save_safetensors sharded_ddp split_batches torchdynamo
    tpu_metrics_debug tpu_num_cores use_ipex use_legacy_prediction_loop use_mps_device warmup_ratio xpu_backend
"""
# Flags that the two scripts, or their kin run_classification.py, had of their own.
FLAGS_OF_SCRIPTS = """
    cache_dir config_name data_dir do_lower_case eval_all_checkpoints ignore_mismatched_sizes label_column_name
    max_test_samples max_val_samples model_revision model_type overwrite_cache pad_to_max_length
    preprocessing_num_workers server_ip server_port text_column_names token tokenizer_name trust_remote_code
    use_auth_token use_fast_tokenizer
"""
# What the parser of transformers 3 and 4 made of a switch that was true where it was not given.
COMPLEMENTS = "no_pad_to_max_length no_save_safetensors no_use_fast_tokenizer"

CASES = {
    "--model_type bert": "",
    "--model_revision main": "",
    "--trust_remote_code false": "",
    "--ignore_mismatched_sizes": "",
    "--use_fast_tokenizer": "",
    "--no_use_fast_tokenizer": "",
    "--do_lower_case": "",
    "--cache_dir cache": "",
    "--token abc": "",
    "--label_column_name stars": "--label_column stars",
    "--text_column_names body": "--text_columns body",
    "--overwrite_cache": "",
    "--preprocessing_num_workers 4": "",
    "--pad_to_max_length": "",
    "--no_pad_to_max_length": "",
    "--eval_all_checkpoints": "",
    "--server_ip 10.0.0.1": "",
    "--server_port 5678": "",
    "--overwrite_output_dir": "",
    "--logging_dir runs/log": "",
    "--save_safetensors false": "",
    "--no_save_safetensors": "",
    "--push_to_hub_token abc": "--hub_token abc",
    "--push_to_hub_model_id name": "--hub_model_id name",
    "--use_auth_token": "",
    "--evaluation_strategy epoch": "--eval_strategy epoch",
    "--evaluate_during_training": "--eval_strategy steps",
    "--evaluate_during_training false": "",
    "--max_val_samples 10": "--max_eval_samples 10",
    "--max_test_samples 10": "--max_predict_samples 10",
    "--include_inputs_for_metrics": "--include_for_metrics inputs",
    "--include_inputs_for_metrics false": "",
    "--use_legacy_prediction_loop": "",
    "--past_index -1": "",
    "--per_gpu_train_batch_size 8": "--per_device_train_batch_size 8",
    "--per_gpu_eval_batch_size 8": "--per_device_eval_batch_size 8",
    "--warmup_ratio 0.06": "--warmup_steps 0.06",
    "--warmup_ratio 0": "--warmup_steps 0",
    "--warmup_ratio 6e-2": "--warmup_steps 6e-2",
    "--adafactor": "--optim adafactor",
    "--adafactor false": "",
    "--group_by_length": "--train_sampling_strategy group_by_length",
    "--group_by_length no": "--train_sampling_strategy random",
    "--split_batches true": '--accelerator_config {"split_batches":true}',
    "--split_batches false": '--accelerator_config {"split_batches":false}',
    "--dispatch_batches true": '--accelerator_config {"dispatch_batches":true}',
    "--dispatch_batches false": '--accelerator_config {"dispatch_batches":false}',
    "--no_cuda": "--use_cpu",
    "--no_cuda True": "--use_cpu true",
    "--no_cuda 0": "--use_cpu false",
    "--use_mps_device": "",
    "--tpu_num_cores 8": "",
    "--tpu_metrics_debug": "--debug tpu_metrics_debug",
    "--fp16_opt_level O2": "",
    "--half_precision_backend cuda_amp": "",
    "--fp16_backend auto": "",
    "--jit_mode_eval": "",
    "--use_ipex": "",
    "--torchdynamo inductor": "--torch_compile_backend inductor",
    "--xpu_backend ccl": "--ddp_backend xccl",
    "--xpu_backend gloo": "--ddp_backend gloo",
    "--sharded_ddp simple": "",
    "--fsdp_min_num_params 2000": '--fsdp_config {"min_num_params":2000}',
    "--fsdp_transformer_layer_cls_to_wrap BertLayer": '--fsdp_config {"transformer_layer_cls_to_wrap":["BertLayer"]}',
    "--ray_scope last": "",
    "--mp_parameters x": "",
    "--include_tokens_per_second": "",
}


def new_words(line: str) -> list[str]:
    return [word.replace(": ", ":") for word in translate(line.split())[0]]


@pytest.fixture(scope="module")
def parser() -> FlagParser:
    return FlagParser((FinetuneConfig, FinetuneArguments), "python -m finetune", "")


@pytest.mark.parametrize(("old", "new"), CASES.items())
def test_a_removed_flag_in_its_new_words(old: str, new: str):
    assert new_words(old) == new.split()


@pytest.mark.parametrize("old", CASES)
def test_every_translation_warns_once_in_one_line_that_names_the_flag(old: str):
    words, warnings = translate(old.split())
    (warning,) = warnings
    assert warning.startswith(f"{old.split()[0]}: ")
    assert warning.endswith(".")
    assert "\n" not in warning
    assert ("is dropped" in warning) == (not words)
    assert all(word in warning for word in words if word.startswith("--"))


@pytest.mark.parametrize("old", CASES)
def test_new_words_are_not_translated_again_and_the_parser_takes_them(old: str, parser: FlagParser):
    words, _ = translate(old.split())
    assert translate(words) == (words, [])
    assert parser.parse_known_args(words)[1] == []


def test_every_case_is_in_the_table_and_every_line_of_the_table_has_a_case():
    always_refused = {"push_to_hub_organization", "data_dir"}
    beside_a_checkpoint = {"config_name", "tokenizer_name"}
    cases = {old.split()[0].removeprefix("--") for old in CASES}
    assert cases | always_refused | beside_a_checkpoint == set(REMOVED)


@pytest.mark.parametrize(("flag", "value"), REMOVED_VALUES)
def test_a_removed_value_in_its_new_words(flag: str, value: str, parser: FlagParser):
    for old in ([f"--{flag}", value], [f"--{flag}={value}"]):
        words, (warning,) = translate(old)
        assert warning.startswith(f"--{flag}: --{flag} ")
        assert value not in words[-1].split("=")
        assert translate(words) == (words, [])
        assert parser.parse_known_args(words)[1] == []


def test_the_table_holds_all_that_was_removed_and_nothing_that_is_there():
    assert set(REMOVED) == {*FORMER_FIELDS.split(), *FLAGS_OF_SCRIPTS.split(), *COMPLEMENTS.split()}
    present = {field.name for kind in (FinetuneArguments, FinetuneConfig, GlueConfig) for field in fields(kind)}
    assert not present & set(REMOVED)
    assert {"eval_strategy", "text_columns"} < present


def test_values_are_gone_and_their_successors_are_not():
    present = {optimizer.value for optimizer in OptimizerNames}
    for (flag, value), removed in REMOVED_VALUES.items():
        assert flag == "optim"
        assert value not in present
        assert removed.values is not None
        assert removed.values[value][1] in present
