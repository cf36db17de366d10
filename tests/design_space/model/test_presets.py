import pytest
import torch

from design_space import Architecture, DesignSpace, InputError
from design_space.counts import num_parameters
from design_space.model import FlexiBertConfig, FlexiBertModel
from design_space.model.presets import PRESETS, preset

PUBLISHED = {
    "bert_tiny": {
        "l": 2,
        "o": ["sa"] * 2,
        "h": [128] * 2,
        "n": [2] * 2,
        "f": [[512]] * 2,
        "p": ["sdp"] * 2,
    },
    "bert_mini": {
        "l": 4,
        "o": ["sa"] * 4,
        "h": [256] * 4,
        "n": [4] * 4,
        "f": [[1024]] * 4,
        "p": ["sdp"] * 4,
    },
    "flexibert_mini": {
        "l": 4,
        "o": ["sa", "sa", "l", "l"],
        "h": [256, 256, 128, 128],
        "n": [2, 2, 4, 4],
        "f": [[512, 512, 512], [512, 512, 512], [1024], [1024]],
        "p": ["sdp", "sdp", "dct", "dct"],
    },
    "flexibert_large": {
        "l": 24,
        "o": ["sa"] * 12 + ["l"] * 12,
        "h": [1024] * 12 + [512] * 12,
        "n": [8] * 12 + [16] * 12,
        "f": [[2048, 2048, 2048]] * 12 + [[4096]] * 12,
        "p": ["sdp"] * 12 + ["dct"] * 12,
    },
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_architectures(name: str) -> None:
    assert preset(name).to_model_dict() == PUBLISHED[name]


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_round_trips_and_builds_with_the_counted_parameters(name: str) -> None:
    architecture = preset(name)
    assert Architecture.from_model_dict(architecture.to_model_dict()) == architecture
    with torch.device("meta"):
        model = FlexiBertModel(FlexiBertConfig.from_architecture(architecture))
    assert model.num_parameters() == num_parameters(architecture)


def test_presets_are_distinct() -> None:
    assert len({architecture.id for architecture in PRESETS.values()}) == len(PRESETS)


def test_default_configuration_is_the_preset_bert_mini() -> None:
    assert FlexiBertConfig().model_dict == preset("bert_mini").to_model_dict()


@pytest.mark.parametrize("name", ["bert_tiny", "bert_mini", "fnet_mini", "convbert_mini", "flexibert_mini"])
def test_mini_presets_lie_in_the_space_of_the_paper(name: str) -> None:
    assert DesignSpace.load("flexibert_mini").refusal(preset(name), 3) is None


def test_unknown_name_is_refused_with_the_choices() -> None:
    with pytest.raises(InputError, match="architecture: must be one of bert_tiny, .*, got 'bert_huge'"):
        preset("bert_huge")
