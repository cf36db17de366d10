"""What a run would take."""

import io
import re

import pytest
from rich.console import Console

from design_space.architecture import Architecture, Layer
from design_space.model import FlexiBertConfig, FlexiBertForMaskedLM
from pretrain.plan import UTILISATION, Plan, Workload, plan, show

TINY = Architecture((Layer("sa", "sdp", 32, 2, (64,)),))


def workload(**changed: object) -> Workload:
    settings: dict[str, object] = {
        "architecture": TINY,
        "vocab_size": 300,
        "block_size": 16,
        "mlm_probability": 0.15,
        "num_sequences": 8,
        "tokens_per_step": 128,
        "num_devices": 1,
        "is_half": True,
    }
    return Workload(**settings | changed)  # type: ignore[arg-type]


def made(num_steps: int | None, max_seconds: float | None = None) -> Plan:
    config = FlexiBertConfig.from_architecture(TINY, vocab_size=300, max_position_embeddings=16)
    return plan(FlexiBertForMaskedLM(config), workload(), num_steps, max_seconds)


def test_hours_follow_from_the_arithmetic():
    found = made(10)
    assert found.num_tokens == 1280
    assert found.hours["A100"] == pytest.approx(workload().flops_per_token * 1280 / (312e12 * UTILISATION) / 3600)
    assert found.hours["this machine"] == pytest.approx(1280 / found.tokens_per_s_here / 3600)
    assert found.tokens_per_s_here > 0


def test_a_length_in_seconds_has_no_number_of_steps():
    found = made(None, 7200.0)
    assert (found.num_steps, found.num_tokens, found.hours) == (None, None, {"this machine": 2.0})


def test_memory_holds_weights_gradients_and_moments():
    found = made(10)
    assert found.memory_gib * 2**30 > 16 * found.params


def test_a_plan_is_shown():
    console = Console(width=80, record=True, file=io.StringIO())
    show(made(10), console)
    text = console.export_text()
    assert "steps" in text
    assert "1,280" in text
    assert "without the corpus cache" in text
    assert re.search(r"hours, H200 +[\d.e-]*[1-9]", text)  # however short
