"""Whether an exported model folder gives the same outputs where this project is not installed."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import AutoModelForMaskedLM

from design_space.model import FlexiBertForMaskedLM, FlexiBertForSequenceClassification

MAX_DIFFERENCE = 1e-5
_CHECK_TOKENS = 16

_LOAD_ELSEWHERE = """
import json
import os
import sys
import torch
import transformers
from safetensors.torch import load_file
folder, expected = sys.argv[1], load_file(sys.argv[2])
differences = {}
if os.path.exists(folder + "/tokenizer_config.json"):
    transformers.AutoTokenizer.from_pretrained(folder, trust_remote_code=True)
for name in json.load(open(folder + "/config.json"))["auto_map"]:
    if name == "AutoConfig":
        continue
    model = getattr(transformers, name).from_pretrained(folder, trust_remote_code=True).eval()
    for output in ("last_hidden_state", "logits"):
        key = f"{name}.{output}"
        if key in expected:
            with torch.no_grad():
                differences[key] = float((model(expected["input_ids"])[output] - expected[key]).abs().max())
if any(name.split(".")[0] in ("design_space", "boshnas") for name in sys.modules):
    sys.exit("the folder is not self-contained: it imported this project")
json.dump(differences, open(sys.argv[3], "w"))
"""


def check_elsewhere(folder: Path) -> None:
    """Load a model folder in a fresh process, offline, without this project, and compare its outputs.

    Raises:
        RuntimeError: If it does not load, or an output differs by more than 1e-5.
    """
    config = json.loads((folder / "config.json").read_text("utf-8"))
    name = config["architectures"][0]
    is_classifier = name == FlexiBertForSequenceClassification.__name__
    model = (FlexiBertForSequenceClassification if is_classifier else FlexiBertForMaskedLM).from_pretrained(folder)
    model.eval()
    length = min(_CHECK_TOKENS, model.config.max_position_embeddings)
    ids = torch.randint(5, model.config.vocab_size, (2, length), generator=torch.Generator().manual_seed(0))
    head = "AutoModelForSequenceClassification" if is_classifier else AutoModelForMaskedLM.__name__
    with torch.no_grad():
        expected = {
            "input_ids": ids,
            "AutoModel.last_hidden_state": model.base_model(ids).last_hidden_state,
            f"{head}.logits": model(ids).logits,
        }
    with tempfile.TemporaryDirectory() as scratch:
        tensors, differences_file = Path(scratch, "expected.safetensors"), Path(scratch, "differences.json")
        save_file({key: value.contiguous() for key, value in expected.items()}, tensors)
        environment = os.environ | {
            "HF_HUB_OFFLINE": "1",
            "HF_MODULES_CACHE": scratch,
            "TRANSFORMERS_VERBOSITY": "error",
        }
        outcome = subprocess.run(
            [sys.executable, "-P", "-c", _LOAD_ELSEWHERE, str(folder.resolve()), str(tensors), str(differences_file)],
            env=environment,
            cwd=scratch,
            capture_output=True,
            text=True,
            check=False,
        )
        if outcome.returncode != 0:
            raise RuntimeError(f"export: {folder} does not load in a fresh process:\n{outcome.stderr[-2000:]}")
        differences = json.loads(differences_file.read_text("utf-8"))
    for key in set(expected) - {"input_ids"}:
        if not differences[key] <= MAX_DIFFERENCE:
            raise RuntimeError(f"export: {key} differs by {differences[key]} in a fresh process")
