import re
from dataclasses import replace
from typing import Any

import pytest
import yaml
from huggingface_hub import ModelCardData

from boshnas.card import Lineage, model_card
from boshnas.trial import Decision, Proposal, Status, Trial
from boshnas.worker.settings import FinetuneSettings, Settings
from design_space.counts import num_parameters
from design_space.model.presets import preset
from finetune.outcomes.repeats import RunOutcome
from pretrain.config import load_recipe

TINY = preset("bert_tiny")
TRIAL = Trial(
    number=3,
    proposal=Proposal(id=TINY.id, decision=Decision.RANDOM),
    level=1,
    architecture=TINY.to_model_dict(),
    parameters={},
    seed=11,
    status=Status.FINISHED,
    score=61.256,
    task_scores={"sst2": 70.5, "cola": 52.012},
)
SST2 = RunOutcome(task="sst2", seed=0, score=71.5, metrics={"accuracy": 0.715}, loss=0.5, num_steps=2, seconds=1.0)


def card(data: str = "demo", trial: Trial = TRIAL, **changes: Any) -> str:
    settings = Settings(
        data=data,
        tasks=["sst2", "cola"],
        tokenizer="tokenizer",
        corpus="corpus",
        dropout=0.0,
        pretrain=load_recipe("demo"),
        finetune=FinetuneSettings(),
    )
    values: dict[str, Any] = {
        "run": "my-run",
        "recipe": load_recipe("demo"),
        "recipe_name": None,
        "transferred_from": None,
        "task_result": None,
        "corpus": ["demo"],
        "license": "apache-2.0",
        "base_model": None,
    }
    return model_card(trial, settings, Lineage(**(values | changes)))


def front_matter(text: str) -> Any:
    assert text.startswith("---\n")
    return yaml.safe_load(text.split("---\n")[1])


@pytest.mark.parametrize("task_result", [None, SST2])
def test_demo_scores_never_stand_without_the_word_demo(task_result: RunOutcome | None):
    lines = card(task_result=task_result).splitlines()
    scored = [line for line in lines if re.search(r"61\.26|70\.50|52\.01|71\.50", line)]
    assert len(scored) == (3 if task_result is None else 4)
    assert all("demo" in line for line in scored)
    assert any("demo GLUE score (synthetic data) of the search: 61.26" in line for line in scored)
    assert any("synthetic" in line and "nothing about real text" in line for line in lines)


def test_real_scores_are_not_called_demo():
    text = card("/data/glue", corpus=["/data/text"], recipe=load_recipe("cpu_small"))
    assert "GLUE score of the search: 61.26, one training with seed 11." in text
    assert "| sst2 | 70.50 |" in text
    assert "demo" not in text
    assert "synthetic" not in text


def test_the_spread_of_the_score_is_told_as_far_as_it_is_known():
    assert "How far scores spread from seed to seed was not known" in card()
    proposal = Proposal(id=TINY.id, decision=Decision.OPTIMISE, mean=60.123, epistemic_std=0.456, aleatoric_std=1.204)
    text = card(trial=replace(TRIAL, proposal=proposal))
    assert "the search expected 60.12 ± 0.46 (standard deviation), and ± 1.20 more from seed to seed." in text
    assert "not known" not in text


@pytest.mark.parametrize(("changes", "pipeline"), [({}, "fill-mask"), ({"task_result": SST2}, "text-classification")])
@pytest.mark.parametrize(("data", "synthetic"), [("demo", True), ("/data/glue", False)])
def test_the_front_matter_is_yaml_that_the_hub_knows(
    changes: dict[str, Any], pipeline: str, data: str, synthetic: bool
):
    found = front_matter(card(data, **changes))
    assert found["library_name"] == "transformers"
    assert found["pipeline_tag"] == pipeline
    assert {"flexibert", "boshnas"} <= set(found["tags"])
    assert ("synthetic-data" in found["tags"]) == synthetic
    assert found["license"] == "apache-2.0"
    assert "base_model" not in found
    assert "datasets" not in found


def test_scores_stand_in_the_front_matter_as_the_hub_lists_them():
    found = front_matter(card("glue", license="mit", base_model="me/encoder"))
    assert (found["license"], found["base_model"]) == ("mit", "me/encoder")
    assert found["datasets"] == ["nyu-mll/glue"]
    assert found["metrics"] == ["accuracy", "matthews_correlation"]
    (entry,) = found["model-index"]
    values = {
        result["dataset"]["config"]: (
            result["dataset"]["type"],
            result["metrics"][0]["type"],
            result["metrics"][0]["value"],
        )
        for result in entry["results"]
    }
    assert values == {
        "sst2": ("nyu-mll/glue", "accuracy", 0.705),
        "cola": ("nyu-mll/glue", "matthews_correlation", 0.5201),
    }
    ModelCardData(**{key: value for key, value in found.items() if key != "model-index"})
    fine_tuned = front_matter(card("/data/my-glue", task_result=SST2))["model-index"][0]["results"]
    assert [(result["dataset"]["type"], result["metrics"][0]["value"]) for result in fine_tuned] == [("my-glue", 0.715)]


def test_a_mean_of_two_metrics_is_named_as_such():
    mrpc = RunOutcome(
        task="mrpc", seed=0, score=80.0, metrics={"accuracy": 0.7, "f1": 0.9}, loss=0.5, num_steps=2, seconds=1.0
    )
    (result,) = front_matter(card(task_result=mrpc))["model-index"][0]["results"]
    assert result["dataset"]["name"] == "demo mrpc"
    assert result["metrics"] == [{"type": "glue", "value": 80.0, "name": "mean of accuracy and f1, in percent"}]


def test_transferred_weights_are_named_as_such():
    text = card(transferred_from="0123456789abcdef")
    assert "**Transferred**: the weights come from the trained neighbour `0123456789abcdef`" in text
    assert "was not pre-trained by itself" in text
    assert "Transferred" not in card()
    assert "The pre-trained masked language model of the search." in card()


def test_weights_trained_anew_say_that_the_scores_are_older():
    text = card(recipe_name="cpu_small", recipe=load_recipe("cpu_small"))
    assert "Trained anew for this export by the recipe `cpu_small`; the scores above are older." in text
    assert '"max_steps":2000' in text
    assert "The pre-trained masked language model of the search." not in text


def test_architecture_size_run_and_use_are_told():
    text = card()
    assert f"# FlexiBERT {TINY.id}" in text
    assert f"{num_parameters(TINY):,} parameters" in text
    assert "run `my-run`" in text
    assert '"o": ["sa", "sa"]' in text
    assert "trust_remote_code=True" in text
    assert "Pre-trained as a masked language model on: demo." in text
    assert "arXiv:2205.11656" in text


def test_the_report_that_loading_prints_is_explained():
    assert "The LOAD REPORT that transformers prints is expected" in card()
