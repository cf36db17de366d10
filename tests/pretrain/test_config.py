"""Recipes: every shipped one loads, and what breaks a rule is refused by its name."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from design_space.errors import InputError
from pretrain.arguments import PretrainArguments
from pretrain.config import PretrainConfig, Recipe, Source, load_recipe, recipe_names
from pretrain.hub import HubSet
from pretrain.tokenizer import MIN_VOCAB_SIZE

VALUES = {
    "max_steps": 3,
    "per_device_train_batch_size": 2,
    "max_seq_length": 8,
    "learning_rate": 1e-3,
    "warmup_steps": 1,
    "vocab_size": 300,
}


def write(folder: Path, **changes: Any) -> Path:
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(VALUES | changes))
    return path


def test_the_shipped_recipes_are_these():
    assert recipe_names() == ["cpu_small", "demo", "paper_final", "paper_search"]


@pytest.mark.parametrize("name", recipe_names())
def test_every_shipped_recipe_loads_and_its_keys_are_flags(name: str):
    recipe = load_recipe(name)
    assert recipe.vocab_size >= MIN_VOCAB_SIZE
    assert recipe.max_seq_length >= 2
    assert recipe.warmup_steps < recipe.max_steps
    fields = set(PretrainArguments.__dataclass_fields__) | set(PretrainConfig.__dataclass_fields__)
    assert set(recipe.model_dump(exclude={"corpus"})) <= fields


def test_the_two_recipes_of_the_paper_differ_in_their_steps_and_in_c4():
    search, final = (load_recipe(name) for name in ("paper_search", "paper_final"))
    differences = {key for key in Recipe.model_fields if getattr(search, key) != getattr(final, key)}
    assert differences == {"max_steps", "corpus"}
    assert (search.max_steps, final.max_steps) == (1_000_000, 3_000_000)
    assert search.corpus is not None
    assert final.corpus == (*search.corpus, Source(source="allenai/c4:en"))


@pytest.mark.parametrize("name", ["paper_search", "paper_final"])
def test_the_corpora_of_the_paper_are_data_sets_of_the_hub(name: str):
    corpus = load_recipe(name).corpus
    assert corpus is not None
    assert all(HubSet.parse(source.source) for source in corpus)


def test_a_corpus_is_a_list_of_sources_or_of_sources_with_weight_and_column(tmp_path: Path):
    corpus = ["a.txt", {"source": "b", "weight": 3, "column": "body"}]
    recipe = load_recipe(write(tmp_path, corpus=corpus))
    assert recipe.corpus == (Source(source="a.txt"), Source(source="b", weight=3.0, column="body"))
    assert Recipe.model_validate(recipe.model_dump(mode="json")) == recipe
    assert load_recipe(write(tmp_path)).corpus is None


@pytest.mark.parametrize(
    ("corpus", "message"),
    [
        (
            [{"source": "a", "weights": 2}],
            r"no key 'corpus\.0\.weights' \(did you mean 'weight'\?\), but source, w",
        ),
        (["a", {"source": "b", "weight": 0}], r"corpus\.1\.weight: Input should be greater than 0, got 0\."),
        ([{"source": "b", "weight": -1.5}], r"corpus\.0\.weight: Input should be greater than 0, got -1\.5\."),
        ([{"source": "b", "weight": float("inf")}], r"corpus\.0\.weight: Input should be a finite number"),
        ([{"weight": 1}], r"corpus\.0\.source: Field required"),
        ([""], r"corpus\.0\.source: String should have at least 1 character"),
        ([], r"corpus: Tuple should have at least 1 item"),
        ("a.txt", r"corpus: Input should be a valid tuple, got 'a\.txt'"),
    ],
)
def test_refuses_a_wrong_corpus_in_one_line(tmp_path: Path, corpus: Any, message: str):
    with pytest.raises(InputError, match=message) as caught:
        load_recipe(write(tmp_path, corpus=corpus))
    assert "\n" not in str(caught.value)


def test_reads_a_file_of_the_user_with_the_defaults_of_roberta(tmp_path: Path):
    recipe = load_recipe(write(tmp_path, weight_decay=0.5))
    assert (recipe.max_steps, recipe.weight_decay) == (3, 0.5)
    assert (recipe.adam_beta2, recipe.adam_epsilon, recipe.mlm_probability) == (0.98, 1e-6, 0.15)


def test_training_arguments_are_those_of_the_trainer_alone(tmp_path: Path):
    arguments = load_recipe(write(tmp_path)).training_arguments()
    assert set(arguments) == set(Recipe.model_fields) - {"max_seq_length", "mlm_probability", "vocab_size", "corpus"}
    training = PretrainArguments(output_dir=str(tmp_path), use_cpu=True, **arguments)
    assert (training.max_steps, training.per_device_train_batch_size, training.learning_rate) == (3, 2, 1e-3)


def test_the_defaults_are_the_constants_of_roberta(tmp_path: Path):
    training = PretrainArguments(output_dir=str(tmp_path), use_cpu=True)
    assert (training.adam_beta1, training.adam_beta2, training.adam_epsilon) == (0.9, 0.98, 1e-6)
    assert (training.weight_decay, training.warmup_steps) == (0.01, 0.06)
    assert training.logging_nan_inf_filter is False


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"max_step": 3},
            r"^--recipe: .*yaml: there is no key 'max_step' \(did you mean 'max_steps'\?\), but max_",
        ),
        ({"lerning_rate": 1e-3}, r"did you mean 'learning_rate'\?"),
        ({"max_steps": 0}, r"recipe\.yaml: max_steps: Input should be greater than or equal to 1, got 0\."),
        ({"learning_rate": float("nan")}, "learning_rate: Input should be a finite number, got nan"),
        ({"learning_rate": "fast"}, "learning_rate: Input should be a valid number.*'fast'"),
        ({"mlm_probability": 1.0}, r"mlm_probability: Input should be less than 1, got 1\.0"),
        ({"mlm_probability": 0.0}, "mlm_probability: Input should be greater than 0"),
        ({"max_seq_length": 2.5}, "max_seq_length: Input should be a valid integer.*2.5"),
        ({"zzz": 1, "xs": 2}, r"there is no key 'xs', 'zzz', but max_steps, .*, corpus\.$"),
        ({"zzz": 1, "max_steps": 0, "learning_rate": -1}, r"max_steps: .*; learning_rate: .*; there is no key 'zzz'"),
    ],
)
def test_refuses_a_wrong_key_or_value_by_its_name(tmp_path: Path, changes: dict[str, Any], message: str):
    with pytest.raises(InputError, match=message) as caught:
        load_recipe(write(tmp_path, **changes))
    assert "\n" not in str(caught.value)


def test_what_is_not_given_has_the_defaults_of_the_flags(tmp_path: Path):
    (tmp_path / "recipe.yaml").write_text("corpus: [demo]")
    recipe = load_recipe(tmp_path / "recipe.yaml")
    assert recipe.flags() == {}
    flags = PretrainConfig.__dataclass_fields__ | PretrainArguments.__dataclass_fields__
    for name, value in recipe.model_dump(exclude={"corpus", "max_steps"}).items():
        assert value == flags[name].default, name
    assert PretrainArguments(output_dir=str(tmp_path), use_cpu=True, **recipe.training_arguments()).max_steps == -1


@pytest.mark.parametrize(
    ("changes", "share"), [({"max_steps": 40, "warmup_steps": 10}, 0.25), ({"warmup_steps": 0.1}, 0.1)]
)
def test_at_another_length_the_warm_up_keeps_its_share(tmp_path: Path, changes: dict[str, Any], share: float):
    recipe = load_recipe(write(tmp_path, **changes))
    assert recipe.flags()["warmup_steps"] == changes["warmup_steps"]
    flags = recipe.flags(has_other_length=True)
    assert flags["warmup_steps"] == share
    assert "max_steps" not in flags


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seed: 1\nmax_steps: [1", r"must be YAML, is not \(line 2: .*\)"),
        ("hello", "must have lines such as 'max_steps: 2000', got 'hello'"),
        ("", "must have lines such as 'max_steps: 2000', got None"),
    ],
)
def test_refuses_what_is_not_a_mapping(tmp_path: Path, text: str, message: str):
    (tmp_path / "recipe.yaml").write_text(text)
    with pytest.raises(InputError, match=message):
        load_recipe(tmp_path / "recipe.yaml")


@pytest.mark.parametrize("name", ["demoo", "demo.yaml", ""])
def test_refuses_an_unknown_name_with_the_names_there_are(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        InputError, match=f"one of cpu_small, demo, paper_final, paper_search or a YAML file, got '{name}'"
    ):
        load_recipe(name)


def test_refuses_a_file_that_is_not_utf8(tmp_path: Path):
    (tmp_path / "recipe.yaml").write_bytes(b"# \xe9\nmax_steps: 1")
    with pytest.raises(InputError, match="UTF-8"):
        load_recipe(tmp_path / "recipe.yaml")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("learning_rate", float("inf")),
        ("adam_beta2", 3.0),
        ("weight_decay", -1.0),
        ("max_seq_length", 1),
        ("max_steps", True),
    ],
)
def test_refuses_a_value_that_no_run_can_use(tmp_path: Path, key: str, value: object):
    with pytest.raises(InputError, match=key):
        load_recipe(write(tmp_path, **{key: value}))
