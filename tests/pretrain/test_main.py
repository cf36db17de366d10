"""`python -m pretrain`, in this process: one run, its output, and every refusal at the door."""

import gzip
import json
import os
import re
import runpy
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoConfig, AutoModelForMaskedLM, AutoTokenizer, PreTrainedTokenizerBase
from transformers.utils import logging as transformers_logging

from design_space.architecture import Architecture, Layer
from design_space.command_line import exit_code
from design_space.errors import InputError
from design_space.model.presets import PRESETS
from pretrain import __main__, cache, command
from pretrain.__main__ import main
from pretrain.callbacks import Last
from pretrain.config import recipe_names
from pretrain.flags import parse
from pretrain.start import read_architecture
from pretrain.train import build_model

TINY = Architecture((Layer("sa", "sdp", 32, 2, (64,)),))
MODEL = json.dumps(TINY.to_model_dict())
RECIPE = """
max_steps: 5
per_device_train_batch_size: 4
max_seq_length: 12
learning_rate: 1.0e-3
warmup_steps: 1
vocab_size: 290
"""


@pytest.fixture
def flags(tmp_path: Path, documents: list[str]) -> Callable[..., list[str]]:
    """A small run's flags, further ones appended."""
    (tmp_path / "text.txt").write_text("\n".join(documents))
    base = {
        "--model_dict": MODEL,
        "--train_file": str(tmp_path / "text.txt"),
        "--output_dir": str(tmp_path / "out"),
        "--vocab_size": "300",
        "--max_seq_length": "16",
        "--max_steps": "3",
        "--use_cpu": "true",
    }

    def make(*further: str, without: tuple[str, ...] = ()) -> list[str]:
        return [word for flag, value in base.items() if flag not in without for word in (flag, value)] + list(further)

    return make


@pytest.fixture
def no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail where a run that must be refused begins."""
    monkeypatch.setattr(command, "pretrain", lambda *_: pytest.fail("began to train"))


@pytest.fixture
def logging_level() -> Iterator[None]:
    before = transformers_logging.get_verbosity()
    yield
    transformers_logging.set_verbosity(before)


def test_a_run_leaves_a_checkpoint_and_says_where(
    flags: Callable[..., list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert exit_code(lambda: main(flags())) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("mean loss ")
    assert "held out " in last
    assert " nats after 3 steps, " in last
    assert last.endswith(f"tokens/s; checkpoint in {tmp_path / 'out'}")
    config = AutoModelForMaskedLM.from_pretrained(tmp_path / "out").config
    assert (config.model_dict, config.vocab_size) == (TINY.to_model_dict(), 300)
    assert config.max_position_embeddings == 512
    result = json.loads((tmp_path / "out" / "result.json").read_text())
    assert (result["num_steps"], result["num_tokens"]) == (3, 3 * 32 * 16)


def test_json_ends_with_one_line_that_is_the_result(
    flags: Callable[..., list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    main(flags("--json", "--disable_tqdm", "true"))
    printed = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert printed.pop("output_dir") == str(tmp_path / "out")
    assert printed == json.loads((tmp_path / "out" / "result.json").read_text())


@pytest.mark.parametrize("tqdm", ["true", "false"])
def test_json_prints_nothing_else_on_stdout(
    flags: Callable[..., list[str]], capsys: pytest.CaptureFixture[str], tqdm: str
):
    main(flags("--json", "--disable_tqdm", tqdm))
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_a_recipe_stands_in_for_flags_that_are_not_given(flags: Callable[..., list[str]], tmp_path: Path):
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    dropped = ("--vocab_size", "--max_seq_length")
    main(flags("--recipe", str(tmp_path / "recipe.yaml"), without=dropped))
    result = json.loads((tmp_path / "out" / "result.json").read_text())
    # Three steps by the flag, four sequences of twelve tokens by the recipe.
    assert (result["num_steps"], result["num_tokens"]) == (3, 3 * 4 * 12)
    assert AutoConfig.from_pretrained(tmp_path / "out").vocab_size == 290


def test_a_recipe_may_name_the_text_alone(flags: Callable[..., list[str]], tmp_path: Path):
    (tmp_path / "recipe.yaml").write_text(f"corpus:\n  - {tmp_path / 'text.txt'}\n")
    main(flags("--recipe", str(tmp_path / "recipe.yaml"), without=("--train_file",)))
    assert json.loads((tmp_path / "out" / "result.json").read_text())["num_tokens"] == 3 * 32 * 16


@pytest.mark.parametrize(
    ("further", "warmup"),
    [
        ([], 10),
        (["--max_steps", "8"], 0.25),
        (["--max_seconds", "9"], 0.25),
        (["--max_tokens", "9"], 0.25),
        (["--num_train_epochs", "2"], 0.25),
        (["--max_steps", "8", "--warmup_steps", "5"], 5),
    ],
)
def test_a_recipes_warm_up_is_a_share_at_another_length(
    flags: Callable[..., list[str]], tmp_path: Path, further: list[str], warmup: float
):
    (tmp_path / "recipe.yaml").write_text("max_steps: 40\nwarmup_steps: 10\n")
    words = flags("--recipe", str(tmp_path / "recipe.yaml"), *further, without=("--max_steps",))
    assert parse(words)[1].warmup_steps == warmup


def test_the_same_flags_give_the_same_loss(flags: Callable[..., list[str]], tmp_path: Path):
    for name in ("one", "two"):
        main(flags("--output_dir", str(tmp_path / name)))
    results = [json.loads((tmp_path / name / "result.json").read_text()) for name in ("one", "two")]
    assert results[0]["loss"] == results[1]["loss"]
    assert results[0]["held_out_loss"] == results[1]["held_out_loss"]


def test_an_own_tokenizer_is_taken_as_it_is(
    flags: Callable[..., list[str]], tmp_path: Path, documents: list[str], word_tokenizer: Callable
):
    words = sorted({word for text in documents for word in text.split()})
    word_tokenizer(words).save_pretrained(tmp_path / "tokenizer")
    main(flags("--tokenizer_name", str(tmp_path / "tokenizer"), without=("--vocab_size",)))
    assert AutoTokenizer.from_pretrained(tmp_path / "out").get_vocab()[words[0]] == 5
    assert AutoConfig.from_pretrained(tmp_path / "out").vocab_size == 5 + len(words)


def test_blocks_longer_than_the_usual_give_the_model_their_length(flags: Callable[..., list[str]], tmp_path: Path):
    words = flags("--max_seq_length", "520", "--max_steps", "1", "--per_device_train_batch_size", "1")
    (tmp_path / "text.txt").write_text("\n".join(f"the doctor saw dog {number} ." for number in range(400)))
    main(words)
    assert AutoConfig.from_pretrained(tmp_path / "out").max_position_embeddings == 520


def test_a_wordpiece_can_be_trained_and_its_model_comes_back(flags: Callable[..., list[str]], tmp_path: Path):
    main(flags("--tokenizer_kind", "wordpiece", "--lowercase", "true"))
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "out")
    assert tokenizer.tokenize("The Doctor") == ["the", "doctor"]
    assert tokenizer.decode(tokenizer("the girl")["input_ids"]) == "[CLS] the girl [SEP]"
    config = AutoModelForMaskedLM.from_pretrained(tmp_path / "out").config
    assert (config.vocab_size, config.pad_token_id) == (len(tokenizer), 0)


def test_several_files_are_mixed_and_their_column_is_named(flags: Callable[..., list[str]], tmp_path: Path):
    for name in ("a", "b"):
        rows = "".join(f"no,the {name} saw dog {number} .\n" for number in range(200))
        (tmp_path / f"{name}.csv").write_text(f"text,body\n{rows}")
    files = [str(tmp_path / f"{name}.csv") for name in "ab"]
    main(flags("--train_file", *files, "--text_column", "body", without=("--train_file",)))
    vocabulary = AutoTokenizer.from_pretrained(tmp_path / "out").get_vocab()
    assert "Ġsaw" in vocabulary
    assert "Ġno" not in vocabulary


def test_the_recipes_corpus_is_taken_unless_a_file_is_given(flags: Callable[..., list[str]], tmp_path: Path):
    (tmp_path / "mix.jsonl").write_text("".join(f'{{"body": "zebra {number}"}}\n' for number in range(300)))
    mix = f"corpus: [{{source: {tmp_path / 'mix.jsonl'}, weight: 2, column: body}}, {tmp_path / 'text.txt'}]\n"
    (tmp_path / "recipe.yaml").write_text(RECIPE + mix)
    recipe = ["--recipe", str(tmp_path / "recipe.yaml")]
    mixed, given = (
        set(command._mixture(parse(flags(*recipe, without=without))[0])) for without in (("--train_file",), ())
    )
    assert given < mixed
    assert "zebra 7" in mixed - given
    with pytest.raises(InputError, match="^--text_column: belongs to --train_file; the recipe's corpus names its own"):
        main(flags(*recipe, "--text_column", "body", without=("--train_file",)))


def test_without_file_and_recipe_the_demo_is_taken():
    assert [source.source for source in command._mixture(command.PretrainConfig()).sources] == ["demo"]


def test_the_second_run_opens_corpus_and_tokenizer_from_the_folder_that_is_named(
    flags: Callable[..., list[str]], tmp_path: Path, cache_dir: Path, monkeypatch: pytest.MonkeyPatch
):
    folder = ("--cache_dir", str(tmp_path / "cache"))
    main(flags(*folder))
    for name in ("pack", "train_tokenizer"):
        monkeypatch.setattr(cache, name, lambda *_, **__: pytest.fail("made again"))
    main(flags(*folder, "--output_dir", str(tmp_path / "again")))
    assert not cache_dir.exists()
    assert len(list((tmp_path / "cache").iterdir())) == 2


BAD_SOURCES: dict[str, tuple[bytes, str]] = {
    "empty.txt": (b"", r"empty\.txt: must hold at least one document, is empty"),
    "blank.txt": (b" \n\n", r"blank\.txt: must hold at least one document, is empty"),
    "binary.txt": (b"\x7fELF\2\1\1\0\0", r"binary\.txt: line 1: must be text, is binary"),
    "latin.txt": ("d\xe9j\xe0\n".encode("latin-1"), r"latin\.txt: line 1, byte 2: must be UTF-8 text, is not"),
    "column.csv": (b"texts,id\na,1\n", r"column\.csv: must have the column 'text', .*Did you mean 'texts'\?"),
    "number.jsonl": (b'{"text": 3}\n', r"number\.jsonl: line 1: 'text' must be text, got 3"),
    "broken.txt.gz": (gzip.compress(b"text\n" * 999)[:-9], r"broken\.txt\.gz: must be a whole \.gz file, is not"),
    "broken.txt.zst": (b"text", r"broken\.txt\.zst: must be a whole \.zst file, is not"),
    "broken.parquet": (b"PAR1 text PAR1", r"broken\.parquet: must be a whole \.parquet file, is not"),
    "short.txt": (b"one\n", r"corpus: must fill at least one block of 16 tokens, got \d tokens\. Add text"),
    "kind.pdf": (b"text", r"kind\.pdf: must end in \.txt"),
}


@pytest.mark.parametrize("name", BAD_SOURCES)
def test_text_that_cannot_be_used_is_told_in_one_line_with_code_2(
    flags: Callable[..., list[str]], name: str, no_training: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    content, message = BAD_SOURCES[name]
    (tmp_path / name).write_bytes(content)
    words = flags("--train_file", str(tmp_path / name))
    assert exit_code(lambda: main(words)) == 2
    out, error = capsys.readouterr()
    assert out == ""
    assert error.count("\n") == 1
    assert re.search(message, error)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("{source: demo, weight: 0}", r"recipe\.yaml: corpus\.0\.weight: Input should be greater than 0, got 0\."),
        ("{source: demo, weight: -1}", r"corpus\.0\.weight: Input should be greater than 0, got -1\."),
        ("{source: demo, weights: 2}", r"no key 'corpus\.0\.weights' \(did you mean 'weight'\?\)"),
    ],
)
def test_a_wrong_mix_is_told_in_one_line_with_code_2(
    flags: Callable[..., list[str]],
    entry: str,
    message: str,
    no_training: None,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
):
    (tmp_path / "recipe.yaml").write_text(f"{RECIPE}corpus:\n  - {entry}\n")
    assert exit_code(lambda: main(flags("--recipe", str(tmp_path / "recipe.yaml")))) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert re.search(message, error)


def test_a_tokenizer_without_a_mask_token_is_told_in_one_line_with_code_2(
    flags: Callable[..., list[str]],
    no_training: None,
    tmp_path: Path,
    word_tokenizer: Callable,
    capsys: pytest.CaptureFixture[str],
):
    word_tokenizer(["a"], mask_token=None).save_pretrained(tmp_path / "tokenizer")
    assert (
        exit_code(lambda: main(flags("--tokenizer_name", str(tmp_path / "tokenizer"), without=("--vocab_size",)))) == 2
    )
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "must have a mask token, has none" in error


def test_a_folder_with_a_checkpoint_is_not_written_over(
    flags: Callable[..., list[str]], tmp_path: Path, no_training: None
):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "config.json").write_text("precious")
    with pytest.raises(InputError, match=r"^--output_dir: .*out holds a checkpoint already\. Give another folder"):
        main(flags())
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["config.json"]
    assert (tmp_path / "out" / "config.json").read_text() == "precious"


def test_a_missing_output_folder_is_refused(flags: Callable[..., list[str]], no_training: None):
    with pytest.raises(InputError, match="^--output_dir: must name the folder for the checkpoint. Give one"):
        main(flags(without=("--output_dir",)))


@pytest.mark.parametrize(
    ("further", "message"),
    [
        (["--max_steps", "0"], r"^--max_steps: must be more than 0, got 0\."),
        (["--dropout", "1"], r"^--dropout: must be in \[0, 1\), got 1\.0"),
        (["--mlm_probability", "1"], r"^--mlm_probability: must be in \(0, 1\), got 1\.0"),
        (["--mlm_probability", "0"], r"^--mlm_probability: must be in \(0, 1\), got 0\.0"),
        (["--max_stps", "3"], r"unknown flag '--max_stps'\. Did you mean --max_steps\?"),
        (["--max_st", "3"], "unknown flag '--max_st'"),
        (["--recipe", "demoo"], r"^--recipe: must be one of .*, got 'demoo'\. Did you mean 'demo'\?"),
        (
            ["--model_dict", "bert_tinyy"],
            "folder of a checkpoint, got 'bert_tinyy'. Did you mean 'bert_tiny'",
        ),
        (["--model_dict", "{"], "^--model_dict: must be JSON"),
        (["--train_file", "absent.txt"], r"absent\.txt: no such file"),
        (["--vocab_size", "10"], "^--vocab_size: must be at least 261, got 10"),
        (["--text_column", ""], "^--text_column: must name a column, is empty"),
        (["--tokenizer_kind", "words"], "--tokenizer_kind.*invalid choice: 'words'"),
        (["--lowercase"], "^--lowercase: needs --tokenizer_kind wordpiece"),
        (["--text_column", "body"], "^--text_column: is for files with columns or fields"),
        (["--output_dir", __file__], "^--output_dir: .*test_main.py must be a folder, but .*test_main.py is none"),
        (["--output_dir", f"{__file__}/a/b"], "^--output_dir: .*a/b must be a folder, but .*test_main.py is none"),
        (["--max_seq_length", "100000"], "corpus: must fill at least one block of 100000 tokens"),
        (["--warmup_steps", "-1"], "warmup_steps"),
    ],
)
def test_wrong_input_is_told_in_one_line_with_code_2(
    flags: Callable[..., list[str]],
    further: list[str],
    message: str,
    no_training: None,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
):
    with pytest.raises(InputError, match=message):
        main(flags(*further))
    assert exit_code(lambda: main(flags(*further))) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert not (tmp_path / "out" / "config.json").exists()


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        ("--max_seq_length", "1"),
        ("--max_seq_length", "0"),
        ("--per_device_train_batch_size", "0"),
        ("--gradient_accumulation_steps", "0"),
        ("--learning_rate", "-1"),
    ],
)
def test_a_size_that_no_run_can_use_is_refused(flags: Callable[..., list[str]], flag: str, value: str):
    with pytest.raises(InputError, match=flag):
        main(flags(flag, value))


def test_an_architecture_is_a_preset_json_or_a_file(tmp_path: Path):
    assert read_architecture("bert_tiny") == PRESETS["bert_tiny"]
    assert read_architecture(f"  {MODEL}") == TINY
    (tmp_path / "model.json").write_text(MODEL)
    assert read_architecture(str(tmp_path / "model.json")) == TINY


def test_a_broken_architecture_file_is_named(tmp_path: Path):
    (tmp_path / "model.json").write_text("{")
    with pytest.raises(InputError, match=r"model\.json: must be JSON"):
        read_architecture(str(tmp_path / "model.json"))


def test_the_module_ends_with_the_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], logging_level: None
):
    monkeypatch.setattr("sys.argv", ["pretrain", "--jsn"])
    with pytest.raises(SystemExit) as caught:
        runpy.run_path(__main__.__file__, run_name="__main__")
    assert caught.value.code == 2
    assert capsys.readouterr().err == "python -m pretrain: unknown flag '--jsn'. Did you mean --json?\n"


def test_help_ends_with_code_0_and_shows_the_example(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0
    assert "python -m pretrain --model_dict bert_tiny" in " ".join(capsys.readouterr().out.split())


def test_help_does_not_wait_for_torch():
    code = (
        "import sys\nfrom pretrain.__main__ import main\n"
        "try: main(['--model_dict', 'x', '--help'])\n"
        "except SystemExit as end: assert not end.code\n"
        "else: raise AssertionError\n"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert "--mlm_probability" in done.stdout


def test_all_arguments_of_the_trainer_have_a_help_of_their_own(capsys: pytest.CaptureFixture[str]):
    told = []
    for word in ("--help", "--help_all"):
        with pytest.raises(SystemExit) as caught:
            main([word])
        assert caught.value.code == 0
        told.append(capsys.readouterr().out)
    short, whole = told
    assert "--help_all" in short
    assert "--learning_rate" in short
    assert "--lr_scheduler_type" not in short
    flags = {word for text in told for word in re.findall(r"^  (--\w+)", text, re.MULTILINE)}
    assert {"--lr_scheduler_type", "--bf16", "--learning_rate"} <= flags
    assert all(flag in whole for flag in flags)


def test_help_shows_own_flags_first_and_names_the_recipes(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        main(["--help"])
    text = capsys.readouterr().out
    text = text[text.index("\noptions:") :]
    own, theirs = text.index("\npre-training:"), text.index("\nthe transformers Trainer:")
    assert own < text.index("--train_file") < text.index("--recipe") < theirs < text.index("--learning_rate")
    assert ", ".join(recipe_names()[:-1]) in " ".join(text.split())


def test_a_plan_changes_nothing(
    flags: Callable[..., list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str], no_training: None
):
    main(flags("--dry_run", "--json"))
    printed = json.loads(capsys.readouterr().out)
    assert (printed["num_steps"], printed["num_tokens"]) == (3, 3 * 32 * 16)
    assert not (tmp_path / "out").exists()


def test_a_finished_run_is_told_again_when_it_is_resumed(
    flags: Callable[..., list[str]], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    main(flags())
    first = capsys.readouterr().out
    monkeypatch.setattr(command, "pretrain", lambda *_: pytest.fail("began to train"))
    main(flags("--resume"))
    assert capsys.readouterr().out == first
    with pytest.raises(InputError, match=r"max_steps 3, got 9\. .*longer by --model_dict .*out --output_dir NEW"):
        main(flags("--resume", "--max_steps", "9"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_a_checkpoint_that_resume_goes_on_from(
    flags: Callable[..., list[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    number: int,
):
    original = Last.on_step_end

    def interrupt(self: Last, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        original(self, args, state, control, **kwargs)
        if state.global_step == 2:
            os.kill(os.getpid(), number)

    monkeypatch.setattr(Last, "on_step_end", interrupt)
    words = flags("--resume", "--disable_tqdm", "true")
    assert exit_code(lambda: main(words)) == 130
    out, error = capsys.readouterr()
    checkpoint = tmp_path / "out" / "checkpoint-2"
    told = f"interrupted; checkpoint in {checkpoint}. The same command with --resume goes on."
    assert error.splitlines()[-1] == told
    assert out == ""
    assert checkpoint.is_dir()
    assert exit_code(lambda: main(words)) == 0
    assert json.loads((tmp_path / "out" / "result.json").read_text())["num_steps"] == 3


def test_a_run_that_has_begun_is_not_overwritten(flags: Callable[..., list[str]], tmp_path: Path):
    (tmp_path / "out" / "checkpoint-5").mkdir(parents=True)
    with pytest.raises(InputError, match="holds checkpoints of a run already. Give another folder, or --resume"):
        main(flags())


def test_a_checkpoint_is_trained_further(flags: Callable[..., list[str]], tmp_path: Path):
    main(flags())
    further = ("--model_dict", str(tmp_path / "out"), "--output_dir", str(tmp_path / "more"), "--max_steps", "1")
    main(flags(*further, without=("--vocab_size",)))
    first, more = (json.loads((tmp_path / name / "result.json").read_text()) for name in ("out", "more"))
    assert more["num_steps"] == 1
    assert more["held_out_loss"] == pytest.approx(first["held_out_loss"], abs=0.2)
    tokenizers = [AutoTokenizer.from_pretrained(tmp_path / name).get_vocab() for name in ("out", "more")]
    assert tokenizers[0] == tokenizers[1]


@pytest.mark.parametrize(
    ("further", "num_tokens"), [(["--max_tokens", "1000"], 2 * 512), (["--num_train_epochs", "0.0001"], 512)]
)
def test_other_lengths_stand_over_a_recipes_steps(
    flags: Callable[..., list[str]], tmp_path: Path, further: list[str], num_tokens: int
):
    recipe = RECIPE.replace("per_device_train_batch_size: 4", "per_device_train_batch_size: 32")
    (tmp_path / "recipe.yaml").write_text(recipe.replace("max_seq_length: 12", "max_seq_length: 16"))
    main(flags("--recipe", str(tmp_path / "recipe.yaml"), *further, without=("--max_steps", "--max_seq_length")))
    assert json.loads((tmp_path / "out" / "result.json").read_text())["num_tokens"] == num_tokens


@pytest.mark.parametrize(
    ("further", "message"),
    [
        (["--max_tokens", "5"], "^--max_steps and --max_tokens: must not be given together"),
        (["--save_seconds", "0"], "^--save_seconds: must be more than 0, got 0"),
        (["--max_checkpoint_gb", "-1"], "^--max_checkpoint_gb: must be more than 0, got -1"),
        (
            ["--max_steps", "-1", "--max_seconds", "5", "--warmup_steps", "9"],
            "^--warmup_steps: must be a share below 1",
        ),
        (["--resume_from_checkpoint", "out"], "^--resume_from_checkpoint: is --resume here"),
        (["--model_dict", ".", "--vocab_size", "8192"], r"^--model_dict: \. must hold a checkpoint"),
        (["--dry_run", "--num_train_epochs", "2", "--max_steps", "-1"], "^--dry_run: needs a length in steps"),
    ],
)
def test_lengths_and_starts_that_make_no_sense_are_refused(
    flags: Callable[..., list[str]], further: list[str], message: str, no_training: None
):
    with pytest.raises(InputError, match=message):
        main(flags(*further))


def test_a_tokenizer_that_does_not_fit_a_checkpoint_is_refused(
    flags: Callable[..., list[str]], tmp_path: Path, word_tokenizer: Callable
):
    main(flags())
    word_tokenizer(["a"]).save_pretrained(tmp_path / "small")
    with pytest.raises(InputError, match=r"^--tokenizer_name: must have the 300 entries of .*, has 6"):
        main(
            flags(
                "--model_dict",
                str(tmp_path / "out"),
                "--tokenizer_name",
                str(tmp_path / "small"),
                "--output_dir",
                str(tmp_path / "x"),
                without=("--vocab_size",),
            )
        )


@pytest.fixture
def untrained(tmp_path: Path, tokenizer: PreTrainedTokenizerBase) -> str:
    """A checkpoint of 300 entries and 64 positions."""
    build_model(TINY, tokenizer, 64).save_pretrained(tmp_path / "start")
    tokenizer.save_pretrained(tmp_path / "start")
    return str(tmp_path / "start")


def test_a_tokenizer_of_the_same_size_with_other_entries_is_refused(
    flags: Callable[..., list[str]], tmp_path: Path, untrained: str, word_tokenizer: Callable, no_training: None
):
    word_tokenizer([f"w{number}" for number in range(295)]).save_pretrained(tmp_path / "other")
    words = flags("--model_dict", untrained, "--tokenizer_name", str(tmp_path / "other"), without=("--vocab_size",))
    with pytest.raises(InputError, match="^--tokenizer_name: must have the same entries as .*, has others"):
        main(words)


@pytest.mark.parametrize(
    ("further", "message"),
    [
        (["--max_seq_length", "65"], "^--max_seq_length: must be at most 64, the positions of .*, got 65. Give less"),
        (["--vocab_size", "301"], "^--vocab_size: is for a tokenizer that is trained, but --model_dict brings one"),
        (["--lowercase"], "^--lowercase: is for a tokenizer that is trained, but --model_dict brings one"),
        (["--tokenizer_kind", "wordpiece", "--tokenizer_name", "x"], "^--tokenizer_kind: .* but --tokenizer_name"),
    ],
)
def test_what_a_checkpoint_cannot_have_is_refused_before_the_text_is_read(
    flags: Callable[..., list[str]],
    tmp_path: Path,
    untrained: str,
    monkeypatch: pytest.MonkeyPatch,
    further: list[str],
    message: str,
):
    monkeypatch.setattr(command, "_mixture", lambda *_: pytest.fail("read the text"))
    with pytest.raises(InputError, match=message):
        main(flags("--model_dict", untrained, *further, without=("--vocab_size",)))
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_written_is_refused(
    flags: Callable[..., list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def refuse(prefix: str, dir: Path) -> None:
        assert dir == tmp_path
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("design_space.files.tempfile.TemporaryDirectory", refuse)
    with pytest.raises(InputError, match="^--output_dir: .*out must be a folder to write to, but .* is not"):
        main(flags())


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a folder that refuses folders, whatever its mode")
def test_a_folder_that_takes_no_folders_is_refused(flags: Callable[..., list[str]]):
    with pytest.raises(InputError, match="^--output_dir: /proc/x/y must be a folder to write to, but /proc is not"):
        main([*flags(), "--output_dir", "/proc/x/y"])


def test_bfloat16_needs_a_gpu(flags: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("pretrain.arguments.is_torch_bf16_gpu_available", lambda: False)
    with pytest.raises(InputError, match=r"^--bf16: needs a GPU .*there is none\. Leave it out, or --use_cpu true"):
        main(flags("--bf16", without=("--use_cpu",)))


def test_bfloat16_that_is_asked_for_is_computed_in_on_a_cpu_too(flags: Callable[..., list[str]]):
    assert parse(flags("--bf16"))[1].bf16 is True
    assert parse(flags())[1].bf16 is False


def test_bfloat16_is_on_where_a_gpu_has_it(flags: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch):
    for name in ("pretrain.arguments.bf16_supported", "pretrain.arguments.is_torch_bf16_gpu_available"):
        monkeypatch.setattr(name, lambda: True)
    monkeypatch.setattr("transformers.training_args.is_torch_bf16_gpu_available", lambda: True)
    assert parse(flags(without=("--use_cpu",)))[1].bf16 is True
    assert parse(flags("--bf16", "false", without=("--use_cpu",)))[1].bf16 is False
    assert parse(flags("--fp16", without=("--use_cpu",)))[1].bf16 is False


@pytest.mark.filterwarnings("error::FutureWarning")
def test_the_old_name_of_activation_checkpointing_works_without_a_warning(flags: Callable[..., list[str]]):
    assert parse(flags("--gradient_checkpointing"))[1].activation_checkpointing is True
    assert parse(flags())[1].activation_checkpointing is False


def test_a_tokenizer_of_the_hub_that_cannot_be_reached_is_told_in_one_line(
    flags: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    asked = []

    def unreachable(name: str, timeout: float) -> None:
        asked.append(name)
        raise ConnectionError("no network")

    monkeypatch.setattr("pretrain.tokenizer.model_info", unreachable)
    words = flags("--tokenizer_name", "nobody/nothing", without=("--vocab_size",))
    assert exit_code(lambda: main(words)) == 2
    assert asked == ["nobody/nothing"]
    assert capsys.readouterr().err == (
        "--tokenizer_name: 'nobody/nothing' is no folder, and the hub does not give it (no network). "
        "Give a folder that holds tokenizer.json.\n"
    )


@pytest.mark.parametrize("name", ["tensorboard", "wandb", "mlflow"])
def test_a_reporter_needs_its_package(flags: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch, name: str):
    monkeypatch.setattr("pretrain.arguments.find_spec", lambda name: None)
    with pytest.raises(InputError, match=rf"^--report_to {name}: needs the package {name}\."):
        main(flags("--report_to", name))


def test_a_reporter_that_is_unknown_is_refused(flags: Callable[..., list[str]]):
    with pytest.raises(InputError, match="^--report_to: nowhere is not supported"):
        main(flags("--report_to", "nowhere"))


@pytest.mark.parametrize("name", ["weight_decay", "adam_beta1", "max_grad_norm", "max_seconds", "learning_rate"])
@pytest.mark.parametrize("value", ["nan", "inf"])
def test_every_number_is_finite(flags: Callable[..., list[str]], name: str, value: str):
    with pytest.raises(InputError, match=f"^--{name}: must be a finite number, got {value}"):
        main(flags(f"--{name}", value))
