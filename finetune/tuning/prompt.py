"""Prompt tuning: learnt vectors before the embeddings of a text.

An encoder reads them with the text; its head does not see them: first tokens, places of answers and means over tokens
are those of the text. A decoder attends to them. Symbols: B texts, P virtual tokens.

Reference:
    Lester, Al-Rfou, Constant 2021, arXiv 2104.08691, section 2.
"""

import inspect
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import PreTrainedModel

from finetune.tuning.families import encoder_of, family_of
from finetune.tuning.settings import Tuning
from finetune.tuning.virtual_tokens import VirtualTokens, prompt_tokens, require_room


def add_prompt(model: PreTrainedModel, tuning: Tuning) -> None:
    """Let the encoder read learnt vectors before each text.

    Raises:
        InputError: If the model's kind is not known, or they leave a text no positions.
    """
    family_of(model, tuning.method)
    require_room(model, tuning)
    encoder = encoder_of(model)
    embeddings = model.get_input_embeddings()
    assert isinstance(embeddings, nn.Embedding)
    encoder.add_module("prompt", prompt_tokens(tuning, embeddings.embedding_dim).to(model.device))
    encoder.register_forward_pre_hook(_read_before, with_kwargs=True)
    if model.config.is_encoder_decoder:
        decoder = model.get_decoder()
        decoder.register_forward_pre_hook(
            lambda _, args, kwargs: (args, _seen(kwargs, tuning.num_virtual_tokens)), with_kwargs=True
        )
    else:
        encoder.register_forward_hook(_leave_out)


def num_prompt_tokens(model: PreTrainedModel) -> int:
    """P; 0 where the model has no prompt."""
    prompt = getattr(encoder_of(model), "prompt", None)
    return prompt.num_tokens if isinstance(prompt, VirtualTokens) else 0


def _read_before(encoder: nn.Module, args: Any, kwargs: dict[str, Any]) -> tuple[tuple[()], dict[str, Any]]:
    """Hook: what the encoder is called with, P tokens longer."""
    given = {**dict(zip(inspect.signature(encoder.forward).parameters, args, strict=False)), **kwargs}
    ids, words = given.pop("input_ids", None), given.pop("inputs_embeds", None)
    if words is None:
        words = encoder.get_input_embeddings()(ids)  # type: ignore[operator]
    prompt = encoder.get_submodule("prompt")().to(words.dtype)
    given["inputs_embeds"] = torch.cat([prompt.expand(len(words), -1, -1), words], dim=1)
    mask = given.get("attention_mask")
    if mask is None:
        mask = torch.ones(words.shape[:2], dtype=torch.long, device=words.device)
    given["attention_mask"] = F.pad(mask, (len(prompt), 0), value=1)
    if given.get("token_type_ids") is not None:
        given["token_type_ids"] = F.pad(given["token_type_ids"], (len(prompt), 0), value=0)
    return (), given


def _leave_out(encoder: nn.Module, _: Any, output: Any) -> Any:
    """Hook: what the encoder found for the text alone; what is pooled is made of it anew."""
    num_tokens = encoder.get_submodule("prompt").num_tokens

    def cut(states: Tensor) -> Tensor:
        return states[:, num_tokens:]

    output.last_hidden_state = cut(output.last_hidden_state)
    if output.hidden_states is not None:
        output.hidden_states = tuple(map(cut, output.hidden_states))
    if getattr(output, "pooler_output", None) is not None:
        output.pooler_output = encoder.get_submodule("pooler")(output.last_hidden_state)
    return output


def _seen(kwargs: dict[str, Any], num_tokens: int) -> dict[str, Any]:
    """What a decoder is called with: it attends to the virtual tokens too."""
    mask = kwargs.get("encoder_attention_mask")
    return kwargs if mask is None else {**kwargs, "encoder_attention_mask": F.pad(mask, (num_tokens, 0), value=1)}
