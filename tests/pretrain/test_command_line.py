"""The flag parser: explicit flags over a recipe over the defaults, and refusals in one line."""

from dataclasses import dataclass, field

import pytest

from design_space.errors import InputError
from pretrain.command_line import FlagParser, words


@dataclass
class Sizes:
    max_steps: int = field(default=10, metadata={"help": "Steps."})
    learning_rate: float = field(default=0.5, metadata={"help": "Rate."})
    train_file: list[str] = field(default_factory=lambda: ["demo"], metadata={"help": "Files."})


@dataclass
class Output:
    json: bool = field(default=False, metadata={"help": "One line."})
    folder: str | None = field(default=None, metadata={"help": "Where."})

    def __post_init__(self):
        if self.folder == "bad":
            raise ValueError("folder must be good\nsecond line")


@pytest.fixture
def parser() -> FlagParser:
    return FlagParser((Sizes, Output), "python -m x", "python -m x --folder out")


def test_flags_fill_their_own_dataclass(parser: FlagParser):
    sizes, output = parser.parse(["--max_steps", "3", "--json", "--train_file", "a", "b"])
    assert sizes == Sizes(max_steps=3, train_file=["a", "b"])
    assert output == Output(json=True)


def test_no_flags_give_the_defaults(parser: FlagParser):
    assert parser.parse([]) == (Sizes(), Output())


def test_a_flag_may_be_written_with_hyphens_or_an_equals_sign(parser: FlagParser):
    assert parser.parse(["--max-steps=4", "--folder=o"]) == (Sizes(max_steps=4), Output(folder="o"))


def test_explicit_flags_stand_over_the_recipe_and_the_recipe_over_the_defaults(parser: FlagParser):
    recipe = {"max_steps": 40, "learning_rate": 0.1}
    assert parser.parse(["--learning_rate", "0.3"], recipe)[0] == Sizes(max_steps=40, learning_rate=0.3)
    # Also where the explicit value is the dataclass's own default.
    assert parser.parse(["--max_steps", "10"], recipe)[0] == Sizes(max_steps=10, learning_rate=0.1)


@pytest.mark.parametrize(
    ("flag", "nearest"),
    [("--max_stps", "--max_steps"), ("--learnin_rate=3", "--learning_rate"), ("--jsn", "--json")],
)
def test_an_unknown_flag_is_refused_with_the_nearest(parser: FlagParser, flag: str, nearest: str):
    name = flag.split("=")[0]
    with pytest.raises(InputError, match=f"^python -m x: unknown flag '{name}'. Did you mean {nearest}\\?$"):
        parser.parse([flag])


# The last three are flags of other commands, which have something in common with one of these.
@pytest.mark.parametrize("word", ["--zzzzzz", "stray", "-x", "--training_rows", "--predict_file", "--max_epochs"])
def test_what_is_near_no_flag_is_refused_all_the_same(parser: FlagParser, word: str):
    with pytest.raises(InputError, match=f"unknown flag '{word}'. See --help"):
        parser.parse([word])


def test_all_unknown_flags_are_told_at_once_without_their_values(parser: FlagParser):
    line = ["--max_stps", "3", "--json", "--zzz", "a", "b", "--tok=hf_secret", "--neg", "-1", "--zzz"]
    told = "unknown flags '--max_stps' (did you mean --max_steps?), '--zzz', '--tok', '--neg'. See --help."
    with pytest.raises(InputError) as caught:
        parser.parse(line)
    assert str(caught.value) == f"python -m x: {told}"


def test_stray_words_are_told_where_no_flag_is_unknown(parser: FlagParser):
    with pytest.raises(InputError, match="unknown flags 'a', 'b'. See --help"):
        parser.parse(["--max_steps", "3", "a", "b"])


@pytest.mark.parametrize("flag", ["--max", "--max_step", "--learning", "--js"])
def test_an_abbreviation_is_refused(parser: FlagParser, flag: str):
    with pytest.raises(InputError, match=f"unknown flag '{flag}'"):
        parser.parse([flag, "3"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--max_steps", "many"], "argument --max_steps/--max-steps: invalid int value: 'many'. See --help"),
        (["--max_steps"], "argument --max_steps/--max-steps: expected one argument"),
        (["--json", "perhaps"], "argument --json: Truthy value expected: got perhaps"),
        (["--folder", "bad"], "^python -m x: folder must be good$"),
    ],
)
def test_a_wrong_value_is_refused_in_one_line(
    parser: FlagParser, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
):
    with pytest.raises(InputError, match=message) as caught:
        parser.parse(arguments)
    assert "\n" not in str(caught.value)
    # Nor does argparse print its usage.
    assert capsys.readouterr() == ("", "")


def test_a_refusal_names_the_command_once(parser: FlagParser):
    with pytest.raises(InputError) as caught:
        parser.parse(["--max_steps", "many"])
    assert str(caught.value).count("python -m x") == 1


def test_help_shows_flags_defaults_and_the_example(parser: FlagParser, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as caught:
        parser.parse(["--help"])
    assert caught.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "example: python -m x --folder out" in text
    assert "Steps. (default: 10)" in text


def test_words_are_those_after_the_program(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("sys.argv", ["prog", "--a", "b"])
    assert words() == ["--a", "b"]
