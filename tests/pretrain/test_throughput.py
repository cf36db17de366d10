"""Arithmetic of a training step."""

import pytest

from design_space.architecture import Architecture, Layer
from design_space.counts import num_flops
from pretrain.throughput import flops_per_token, peak_flops

TINY = Architecture((Layer("sa", "sdp", 32, 2, (64,)),))


def test_a_step_is_three_forward_passes_and_the_head_at_the_predicted_tokens():
    encoder = num_flops(TINY, 16) / 16
    # Per predicted token: a product with 32 x 32 weights and one with 32 x 300.
    head = 0.15 * 2 * (32 * 32 + 32 * 300)
    assert flops_per_token(TINY, 300, 16, 0.15) == pytest.approx(3 * (encoder + head))


@pytest.mark.parametrize(
    ("name", "is_half", "peak"),
    [
        ("NVIDIA A100-SXM4-80GB", True, 312e12),
        ("NVIDIA A100-SXM4-80GB", False, 156e12),
        ("NVIDIA H100 80GB HBM3", True, 989e12),
        ("NVIDIA H200", True, 989e12),
        ("Tesla T4", True, 65e12),
        ("some accelerator", True, None),
    ],
)
def test_peaks_by_name(name: str, is_half: bool, peak: float | None):
    assert peak_flops(name, is_half) == peak
