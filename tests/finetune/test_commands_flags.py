"""Old command lines in new words: published ones, every removed flag, and what is refused."""

import pytest

from design_space.errors import InputError
from finetune.arguments import FinetuneArguments
from finetune.commands.flags import translate
from finetune.config import FinetuneConfig
from pretrain.command_line import FlagParser

MFAC = (
    "--seed 42 --model_name_or_path prajjwal1/bert-mini --task_name qqp --do_train --do_eval --max_seq_length 128 "
    "--per_device_train_batch_size 32 --learning_rate 1e-4 --num_train_epochs 5 --output_dir out"
)
OLD = "--overwrite_output_dir --evaluation_strategy epoch --warmup_ratio 0.1 --no_cuda"
OF_TRANSFORMERS_2 = (
    "--model_type bert --model_name_or_path bert-base-uncased --task_name MRPC --do_train --do_eval --do_lower_case "
    "--max_seq_length 128 --per_gpu_train_batch_size=8 --learning_rate 2e-5 --num_train_epochs 3.0 "
    "--output_dir /tmp/MRPC/ --overwrite_output_dir --overwrite_cache --tokenizer_name bert-base-uncased"
)
OF_TRANSFORMERS_4 = (
    "--model_name_or_path bert-base-cased --task_name stsb --do_train --do_eval --max-seq-length 128 "
    "--learning_rate 2e-5 --optim adamw_hf --output_dir out --use_fast_tokenizer False --pad_to_max_length=False "
    "--cache_dir cache --model_revision main --token hf_secret --trust_remote_code False --ignore_mismatched_sizes True"
)


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


def test_a_published_line_of_transformers_2(parser: FlagParser):
    words, warnings = translate(OF_TRANSFORMERS_2.split())
    assert [warning.split(":")[0] for warning in warnings] == [
        "--model_type",
        "--do_lower_case",
        "--per_gpu_train_batch_size",
        "--overwrite_output_dir",
        "--overwrite_cache",
        "--tokenizer_name",
    ]
    config, training = parser.parse(words)
    assert (config.model_name_or_path, config.task_name) == ("bert-base-uncased", "MRPC")
    assert (training.per_device_train_batch_size, training.output_dir) == (8, "/tmp/MRPC/")


def test_a_published_line_of_transformers_4(parser: FlagParser):
    words, warnings = translate(OF_TRANSFORMERS_4.split())
    config, training = parser.parse(words)
    assert (config.task_name, config.max_seq_length, training.optim) == ("stsb", 128, "adamw_torch")
    assert len(warnings) == 8
    assert "hf_secret" not in "".join(warnings)


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


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("--learning_rat", "--learning_rate"),
        ("--num_run", "--num_runs"),
        ("--per_device_train_batchsize", "--per_device_train_batch_size"),
        ("--modelname_or_path", "--model_name_or_path"),
        ("--maxseqlength", "--max_seq_length"),
        ("--max-seq-len", "--max-seq-length"),
        ("--weight_deacy", "--weight_decay"),
        ("--do_training", "--do_train"),
    ],
)
def test_a_typing_error_is_told_with_the_flag_that_was_meant(typed: str, meant: str, parser: FlagParser):
    with pytest.raises(InputError, match=f"unknown flag '{typed}'. Did you mean {meant}\\?$"):
        parser.parse([typed, "1"])


@pytest.mark.parametrize(
    "typed",
    ["--submission", "--parallel", "--lr", "--data_dir", "--early_stop", "--wandb_project", "--max_query_length"],
)
def test_a_flag_of_something_else_is_told_without_a_guess(typed: str, parser: FlagParser):
    with pytest.raises(InputError, match=f"unknown flag '{typed}'. See --help.$"):
        parser.parse([typed, "1"])


@pytest.mark.parametrize("flag", ["--config_name", "--tokenizer-name"])
def test_a_part_of_the_checkpoint_itself_is_dropped(flag: str):
    line = ["--model_name_or_path", "roberta-base", "--seed", "1"]
    for place in (0, 4):
        assert translate([*line[:place], flag, "roberta-base", *line[place:]])[0] == line
    assert translate([f"{flag}=bert", "--model-name-or-path=bert"])[0] == ["--model-name-or-path=bert"]
    assert translate([flag, "", *line])[0] == line


@pytest.mark.parametrize(
    "line",
    [
        "--tokenizer_name b --model_name_or_path a",
        "--model_name_or_path a --tokenizer_name=b",
        "--tokenizer_name b",
        "--model_name_or_path a --model_name_or_path b --tokenizer_name a",
    ],
)
def test_a_part_of_another_checkpoint_is_refused(line: str):
    with pytest.raises(
        InputError, match=r"^--tokenizer_name: must be that of --model_name_or_path, got '.'\. Save what"
    ):
        translate(line.split())


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
        ("--pad-to-max-length False --fp16", ["--fp16"]),
        ("--use_fast_tokenizer=false", []),
        ("--label-column-name=stars", ["--label_column=stars"]),
        ("--trust_remote_code=False", []),
        ("--token=hf_a=b --seed 1", ["--seed", "1"]),
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
    for line in (["--token", "hf_secret"], ["--token=hf_secret"]):
        assert translate(line)[1] == [
            "--token: is dropped; the environment variable HF_TOKEN, or the token of 'hf auth login', is used."
        ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("--xpu_backend nccl", "must be ccl or gloo or mpi, got 'nccl'. Give --ddp_backend"),
        ("--past_index 2", "^--past_index: must be -1, got '2'. Leave it out: no state is carried"),
        ("--half_precision_backend apex", "must be auto or amp or cuda_amp or cpu_amp, got 'apex'. Leave it out"),
        ("--fp16_backend=apex", "^--fp16_backend: must be auto or .*, got 'apex'"),
        ("--push_to_hub_organization acme", "must be left out, got 'acme'. Give --hub_model_id"),
        (
            "--data_dir glue/MRPC",
            "^--data_dir: must be left out, got 'glue/MRPC'. Give --data with the folder that holds",
        ),
        (
            "--model_revision v1.0",
            "^--model_revision: must be main, got 'v1.0'. Give the folder that 'hf download NAME",
        ),
        ("--trust_remote_code", "^--trust_remote_code: must be false, got 'true'. Leave it out: code that comes with"),
        ("--trust-remote-code True", "^--trust-remote-code: must be false, got 'true'"),
        ("--text_column_names title,body", "must be one column, got 'title,body'. Give --text_columns A B: they are"),
        ("--token --fp16", "^--token: must be followed by a value, is not"),
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
        ("--adafactor --optim adamw_hf", "^--adafactor and --optim: "),
        ("--label_column_name a --label_column b", "are both --label_column now"),
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
