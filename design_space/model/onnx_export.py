"""A model as an ONNX file for runtimes without torch (extra `onnx`)."""

import importlib.util
import logging
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from design_space.errors import InputError
from design_space.model.modeling_flexibert import FlexiBertPreTrainedModel

ONNX_FILE = "model.onnx"
MAX_DIFFERENCE = 1e-4
_INPUTS = ("input_ids", "attention_mask")
_TRACED_SHAPE = (2, 70)  # more than one block of queries, so that the graph has their general form
_CHECKED_SHAPES = ((1, 5), (3, 70), (2, 130))


def require_onnx() -> None:
    """Refuse early where the extra is not installed.

    Raises:
        InputError: With what to install.
    """
    for name in ("onnx", "onnxscript", "onnxruntime"):
        if importlib.util.find_spec(name) is None:
            raise InputError(f"--onnx: {name} is not installed. Run: pip install -c constraints.txt -e '.[onnx]'")


class _Plain(nn.Module):
    """Ids and mask in, one tensor out."""

    def __init__(self, model: FlexiBertPreTrainedModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Arrays (B, T) each -> logits, or the last hidden state of an encoder."""
        output: Any = self.model(input_ids, attention_mask=attention_mask, return_dict=True)
        return next(iter(output.values()))  # type: ignore[no-any-return]


def write_onnx(model: FlexiBertPreTrainedModel, path: Path) -> float:
    """Write the model as ONNX with any batch size and length, and compare onnxruntime with torch.

    Args:
        model: In float32, with one output.
        path: File to write.

    Returns:
        Greatest difference of the real tokens' outputs, over three shapes with padding on either side.

    Raises:
        InputError: If the extra is not installed.
        RuntimeError: If an output differs by more than 1e-4.
    """
    require_onnx()
    plain = _Plain(model).eval()
    axes = {0: torch.export.Dim("batch"), 1: torch.export.Dim("tokens", max=model.config.max_position_embeddings)}
    level = logging.getLogger("torch.onnx").level
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                plain,
                _example(model, _TRACED_SHAPE[0], min(_TRACED_SHAPE[1], model.config.max_position_embeddings)),
                dynamo=True,
                input_names=list(_INPUTS),
                output_names=["output"],
                dynamic_shapes=dict.fromkeys(_INPUTS, axes),
                verbose=False,
            )
    finally:
        logging.getLogger("torch.onnx").setLevel(level)
    assert program is not None
    program.save(str(path))
    difference = _difference(plain, model, path)
    if not difference <= MAX_DIFFERENCE:
        raise RuntimeError(f"export: {path.name} differs from torch by {difference}")
    return difference


def _example(model: FlexiBertPreTrainedModel, num_rows: int, num_tokens: int) -> tuple[Tensor, Tensor]:
    """Random ids, and a mask with some padding on the right of the first row and on the left of the last."""
    generator = torch.Generator().manual_seed(num_tokens)
    ids = torch.randint(model.config.vocab_size, (num_rows, num_tokens), generator=generator)
    mask = torch.ones_like(ids)
    mask[0, num_tokens - num_tokens // 3 :] = 0
    mask[-1, : num_tokens // 4] = 0
    return ids, mask


@torch.no_grad()
def _difference(plain: _Plain, model: FlexiBertPreTrainedModel, path: Path) -> float:
    runtime = importlib.import_module("onnxruntime")
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    greatest = 0.0
    for num_rows, num_tokens in _CHECKED_SHAPES:
        if num_tokens > model.config.max_position_embeddings:
            continue
        ids, mask = _example(model, num_rows, num_tokens)
        feed = {"input_ids": ids.numpy(), "attention_mask": mask.numpy()}
        given = torch.from_numpy(session.run(None, feed)[0])
        expected = plain(ids, mask)
        gap = (given - expected).abs()
        if gap.shape[:2] == mask.shape:
            gap = gap[mask.bool()]
        greatest = max(greatest, float(gap.max()))
    return greatest
