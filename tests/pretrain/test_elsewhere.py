"""The finished checkpoint where this project is not installed."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForMaskedLM, AutoModelForSequenceClassification, PreTrainedTokenizerBase

from design_space.model import FlexiBertForMaskedLM, FlexiBertForSequenceClassification

TEXT = "the girl slept in the<mask> ."
LOAD = """
import sys
for name in ("design_space", "pretrain", "finetune", "boshnas"):
    sys.modules[name] = None  # importing it is an error
import torch
from transformers import AutoModelForMaskedLM, AutoTokenizer
_, folder, text = sys.argv
tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=True)
model = AutoModelForMaskedLM.from_pretrained(folder, trust_remote_code=True).eval()
with torch.no_grad():
    logits = model(**tokenizer(text, return_tensors="pt")).logits
sys.stdout.write(str(logits[0, -3].max().item()))
"""


def test_it_loads_and_says_what_it_says_here(finished: Any, tokenizer: PreTrainedTokenizerBase, tmp_path: Path):
    outcome = subprocess.run(
        [sys.executable, "-P", "-c", LOAD, str(finished.folder), TEXT],
        env=os.environ | {"HF_HUB_OFFLINE": "1", "HF_MODULES_CACHE": str(tmp_path), "OMP_NUM_THREADS": "1"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert outcome.returncode == 0, outcome.stderr
    with torch.no_grad():
        logits = finished.model.eval()(**tokenizer(TEXT, return_tensors="pt")).logits
    assert float(outcome.stdout) == pytest.approx(logits[0, -3].max().item(), abs=1e-5)


def test_within_the_project_it_needs_none_of_its_own_code(finished: Any):
    assert type(AutoModelForMaskedLM.from_pretrained(finished.folder)) is FlexiBertForMaskedLM
    classifier = AutoModelForSequenceClassification.from_pretrained(finished.folder)
    assert type(classifier) is FlexiBertForSequenceClassification
