"""The ONNX file of a model, run by onnxruntime."""

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch

from design_space import Architecture, InputError, Layer
from design_space.model import FlexiBertConfig, FlexiBertForMaskedLM, FlexiBertForSequenceClassification
from design_space.model.onnx_export import ONNX_FILE, write_onnx

OPERATIONS = [("sa", "sdp"), ("sa", "wma"), ("l", "dft"), ("l", "dct"), ("c", "5")]
EVERY_OPERATION = Architecture(
    tuple(
        Layer(operation, parameter, width, 2, (8,))
        for (operation, parameter), width in zip(OPERATIONS, (16, 16, 32, 32, 16), strict=True)
    )
)


@pytest.mark.slow
@pytest.mark.parametrize("model_class", [FlexiBertForMaskedLM, FlexiBertForSequenceClassification])
@pytest.mark.parametrize("positions", ["relative_key", "absolute"])
def test_any_batch_and_length_gives_what_torch_gives(tmp_path: Path, model_class: Any, positions: str) -> None:
    torch.manual_seed(0)
    config = FlexiBertConfig.from_architecture(
        EVERY_OPERATION,
        vocab_size=40,
        max_position_embeddings=140,
        position_embedding_type=positions,
        initializer_range=0.2,
        num_labels=3,
    )
    model = model_class(config).eval()
    assert write_onnx(model, tmp_path / ONNX_FILE) < 1e-4
    assert [path.name for path in tmp_path.iterdir()] == [ONNX_FILE]
    session = onnxruntime.InferenceSession(tmp_path / ONNX_FILE, providers=["CPUExecutionProvider"])
    assert [given.name for given in session.get_inputs()] == ["input_ids", "attention_mask"]
    rng = np.random.default_rng(0)
    for num_rows, num_tokens in ((1, 1), (4, 64), (2, 97)):
        ids = rng.integers(40, size=(num_rows, num_tokens))
        mask = np.ones_like(ids)
        mask[0, (num_tokens + 1) // 2 :] = 0
        (output,) = session.run(None, {"input_ids": ids, "attention_mask": mask})
        with torch.no_grad():
            expected = model(torch.from_numpy(ids), attention_mask=torch.from_numpy(mask)).logits.numpy()
        real = mask.astype(bool) if output.ndim == 3 else slice(None)
        np.testing.assert_allclose(output[real], expected[real], atol=1e-4)


def test_a_missing_extra_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "onnxruntime" else found(name))
    model = FlexiBertForMaskedLM(FlexiBertConfig.from_architecture(EVERY_OPERATION, vocab_size=40))
    with pytest.raises(
        InputError, match=r"--onnx: onnxruntime is not installed. Run: pip install -c .* -e '.\[onnx\]'"
    ):
        write_onnx(model, tmp_path / ONNX_FILE)
    assert list(tmp_path.iterdir()) == []
