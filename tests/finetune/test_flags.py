"""Old command lines in new words: published ones, every removed flag, and what is refused."""

from dataclasses import fields

import pytest
from transformers import TrainingArguments

from design_space.errors import InputError
from finetune.config import FinetuneArguments, FinetuneConfig
from finetune.flags import REMOVED, translate
from pretrain.command_line import FlagParser

MFAC = (
    "--seed 42 --model_name_or_path prajjwal1/bert-mini --task_name qqp --do_train --do_eval --max_seq_length 128 "
    "--per_device_train_batch_size 32 --learning_rate 1e-4 --num_train_epochs 5 --output_dir out"
)
OLD = "--overwrite_output_dir --evaluation_strategy epoch --warmup_ratio 0.1 --no_cuda"

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
# Flags that the two scripts had of their own, and the complement of a switch that was true.
FORMER_FLAGS = ["max_val_samples", "max_test_samples", "use_auth_token", "no_save_safetensors"]

CASES = {
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


def test_a_published_line_with_removed_flags(parser: FlagParser):
    words, warnings = translate(f"{MFAC} {OLD}".split())
    assert words == f"{MFAC} --eval_strategy epoch --warmup_steps 0.1 --use_cpu".split()
    assert warnings == [
        "--overwrite_output_dir: is dropped; a folder with a result is not written over, give a new --output_dir.",
        "--evaluation_strategy: --eval_strategy is used in its place.",
        "--warmup_ratio: --warmup_steps is used in its place; below 1 it is a share of all steps.",
        "--no_cuda: --use_cpu is used in its place.",
    ]
    config, training = parser.parse(words)
    assert (config.model_name_or_path, config.task_name) == ("prajjwal1/bert-mini", "qqp")
    assert (training.use_cpu, training.eval_strategy, training.get_warmup_steps(1000)) == (True, "epoch", 100)
    assert (training.seed, training.learning_rate, training.num_train_epochs) == (42, 1e-4, 5)


def test_published_lines_of_today_stay_as_they_are():
    answering = (
        f"{MFAC} --dataset_name squad_v2 --version_2_with_negative --doc_stride 128 --n_best_size=20 --optim MFAC"
    )
    line = [*answering.split(), "--optim_args", '{"lr": 1e-4, "num_grads": 1024, "damp": 1e-6}']
    assert translate(line) == (line, [])
    assert translate([]) == ([], [])


def test_unknown_flags_and_bare_words_are_left_to_the_parser():
    line = [
        "config.json",
        "--no_such_flag",
        "x",
        "-h",
        "--",
        "--warmup",
        "--no_cudas",
        "no_cuda",
        "--run_name=--no_cuda",
    ]
    assert translate(line) == (line, [])


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
    if "--max_predict_samples" not in words:  # which run_glue.py has, and this command does not
        assert parser.parse_known_args(words)[1] == []


def test_every_case_is_in_the_table_and_every_line_of_the_table_has_a_case():
    assert {old.split()[0].removeprefix("--") for old in CASES} | {"push_to_hub_organization"} == set(REMOVED)


def test_the_table_holds_all_that_transformers_removed_and_nothing_that_it_has():
    assert set(REMOVED) == {*FORMER_FIELDS.split(), *FORMER_FLAGS}
    present = {field.name for field in fields(TrainingArguments)}
    assert not present & set(REMOVED)
    assert "eval_strategy" in present


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("--evaluation_strategy=epoch", ["--eval_strategy=epoch"]),
        ("--evaluation-strategy epoch", ["--eval_strategy", "epoch"]),
        ("--warmup-ratio=0.1", ["--warmup_steps=0.1"]),
        ("--no-cuda=True", ["--use_cpu=true"]),
        ("--no_cuda --fp16", ["--use_cpu", "--fp16"]),
        ("--no_cuda false --fp16", ["--use_cpu", "false", "--fp16"]),
        ("--group_by_length=true", ["--train_sampling_strategy=group_by_length"]),
        ("--past_index=-1 --seed 1", ["--seed", "1"]),
        ("--logging_dir=a=b", []),
        ("--push_to_hub_token=a=b", ["--hub_token=a=b"]),
    ],
)
def test_every_form_of_a_flag_is_read(old: str, new: list[str]):
    assert translate(old.split())[0] == new


def test_a_dropped_flag_takes_its_value_along():
    line = "--seed 1 --logging_dir runs --tpu_num_cores 8 --past_index -1 --overwrite_output_dir true --fp16"
    assert new_words(line) == ["--seed", "1", "--fp16"]


def test_a_value_with_spaces_stays_one_word():
    assert translate(["--sharded_ddp", "zero_dp_2 offload", "--seed", "1"])[0] == ["--seed", "1"]


def test_the_same_value_under_both_names_is_taken():
    assert new_words("--no_cuda --use_cpu True") == ["--use_cpu", "--use_cpu", "True"]
    assert new_words("--eval_strategy=epoch --evaluation_strategy epoch")[1:] == ["--eval_strategy", "epoch"]


def test_of_one_flag_typed_twice_the_last_counts_as_ever(parser: FlagParser):
    words, _ = translate(["--warmup_ratio=0.1", "--warmup_ratio=0.2"])
    assert parser.parse_known_args(words)[0].warmup_steps == 0.2


def test_a_token_is_not_repeated_in_the_warning():
    assert translate(["--push_to_hub_token", "hf_secret"])[1] == [
        "--push_to_hub_token: --hub_token is used in its place."
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("--xpu_backend nccl", "must be ccl or gloo or mpi with transformers 5, got 'nccl'. Give --ddp_backend"),
        ("--past_index 2", "^--past_index: must be -1 with transformers 5, got '2'. Leave it out: no state is carried"),
        ("--half_precision_backend apex", "must be auto or amp or cuda_amp or cpu_amp .*, got 'apex'. Leave it out"),
        ("--fp16_backend=apex", "^--fp16_backend: must be auto .*, got 'apex'"),
        ("--push_to_hub_organization acme", "must be left out with transformers 5, got 'acme'. Give --hub_model_id"),
        ("--warmup_ratio 1", "^--warmup_ratio: must be at least 0 and below 1, got '1'. Give the number of steps as"),
        ("--warmup_ratio=-0.1", "must be at least 0 and below 1, got '-0.1'"),
        ("--warmup_ratio -0.1", "must be at least 0 and below 1, got '-0.1'"),
        ("--warmup_ratio nan", "must be at least 0 and below 1, got 'nan'"),
        ("--warmup_ratio a", "must be at least 0 and below 1, got 'a'"),
        ("--no_cuda maybe", "^--no_cuda: must be true or false, got 'maybe'"),
        ("--no_cuda=", "^--no_cuda: must be true or false, got ''"),
        ("--evaluation_strategy", "^--evaluation_strategy: must be followed by a value, is not"),
        ("--logging_dir --fp16", "^--logging_dir: must be followed by a value, is not. Give it, or leave the flag out"),
    ],
)
def test_a_value_that_cannot_be_translated_is_refused(line: str, message: str):
    with pytest.raises(InputError, match=message):
        translate(line.split())


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("--warmup_ratio 0.1 --warmup_steps 100", "^--warmup_ratio and --warmup_steps: must have one value, are both"),
        ("--warmup-steps=100 --warmup_ratio 0.1", "^--warmup-steps and --warmup_ratio: .* Give --warmup_steps alone"),
        ("--no_cuda --use_cpu false", "^--no_cuda and --use_cpu: must have one value, are both --use_cpu now"),
        ("--no_cuda false --use_cpu", "^--no_cuda and --use_cpu: "),
        ("--adafactor --optim adamw_torch", "^--adafactor and --optim: "),
        (
            "--split_batches true --dispatch_batches true",
            "are both --accelerator_config now. Give --accelerator_config",
        ),
        ("--evaluate_during_training --evaluation_strategy epoch", "are both --eval_strategy now"),
    ],
)
def test_an_old_and_a_new_name_that_disagree_are_refused(line: str, message: str):
    with pytest.raises(InputError, match=message):
        translate(line.split())
