"""Windows: they cover the context, know where the answer lies, and refuse what leaves no room."""

from copy import deepcopy

import numpy as np
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import ByT5Tokenizer, DataCollatorWithPadding, PreTrainedTokenizerFast

from design_space.errors import InputError
from finetune.answers import windows as windows_module
from finetune.answers.windows import Window, windows
from finetune.rows.squad import Question
from pretrain.tokenizer import train_tokenizer

CONTEXT = (
    "The Normans (Norman: Nourmands; 東京 🙂) were the people who in the 10th and 11th centuries gave their name to "
    "Normandy, a region in France.  They were descended from Norse raiders and pirates from Denmark, Iceland and "
    "Norway who, under their leader Rollo, agreed to swear fealty to King Charles III of West Francia. Émile said: "
    '"naïve" - 1,000 times!'
)
ANSWERS = ["The Normans", "東京", "🙂", "Normandy", "10th and 11th", "Rollo", "Émile", "naïve", "1,000 times!"]


def ask(*answers: str, id: str = "q", question: str = "who were they ?", context: str = CONTEXT) -> Question:
    return Question(id, question, context, answers, tuple(context.index(answer) for answer in answers))


@pytest.fixture(scope="module", params=["wordpiece", "bpe"])
def trained(request: pytest.FixtureRequest) -> PreTrainedTokenizerFast:
    return train_tokenizer([CONTEXT, "who were they ?"] * 3, 300, kind=request.param)


@pytest.fixture(params=["right", "left"])
def tokenizer(request: pytest.FixtureRequest, trained: PreTrainedTokenizerFast) -> PreTrainedTokenizerFast:
    copy = deepcopy(trained)
    copy.padding_side = request.param
    return copy


def word_tokenizer(template: str = "[CLS] $A [SEP] $B [SEP]", **names: str) -> PreTrainedTokenizerFast:
    """One id a word: [PAD] 0, [CLS] 1, [SEP] 2, a 3, b 4, … j 12."""
    vocabulary = {token: number for number, token in enumerate(["[PAD]", "[CLS]", "[SEP]", *"abcdefghij"])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="j"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    special = [(token, vocabulary[token]) for token in ("[CLS]", "[SEP]") if token in template]
    tokenizer.post_processor = processors.TemplateProcessing(single="$A", pair=template, special_tokens=special)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="[PAD]", **names)


def span(window: Window, context: str) -> str:
    """The text that the training positions mark."""
    start, end = (window.features[name] for name in ("start_positions", "end_positions"))
    # RoBERTa's template leaves the space before the first token of a later window to that token.
    return context[window.offsets[start][0] : window.offsets[end][1]].lstrip()


def test_windows_by_hand():
    questions = [ask("f", question="a b", context="c d e f g"), ask(question=" a\n", context="h i")]
    made = windows(questions, word_tokenizer(cls_token="[CLS]"), 8, 1, for_training=True)
    assert [window.features["input_ids"].tolist() for window in made] == [
        [1, 3, 4, 2, 5, 6, 7, 2],
        [1, 3, 4, 2, 7, 8, 9, 2],
        [1, 3, 2, 10, 11, 2],
    ]
    assert [window.question for window in made] == [0, 0, 1]
    assert made[1].offsets.tolist() == [[-1, -1]] * 4 + [[4, 5], [6, 7], [8, 9], [-1, -1]]
    assert [window.null_position for window in made] == [0, 0, 0]
    starts_ends = [(window.features["start_positions"], window.features["end_positions"]) for window in made]
    assert starts_ends == [(0, 0), (5, 5), (0, 0)]


def test_windows_padded_on_the_left_by_hand():
    tokenizer = word_tokenizer("[CLS] $A [SEP] $B [SEP]", cls_token="[CLS]")
    tokenizer.padding_side = "left"
    made = windows([ask("f", question="a b", context="c d e f")], tokenizer, 8, 1, for_training=True)
    assert [window.features["input_ids"].tolist() for window in made] == [
        [1, 5, 6, 7, 2, 3, 4, 2],
        [0, 1, 7, 8, 2, 3, 4, 2],
    ]
    assert made[1].features["attention_mask"].tolist() == [0, 1, 1, 1, 1, 1, 1, 1]
    assert made[1].offsets.tolist() == [[-1, -1], [-1, -1], [4, 5], [6, 7], *[[-1, -1]] * 4]
    assert [(window.null_position, window.features["start_positions"]) for window in made] == [(0, 0), (1, 3)]


@pytest.mark.parametrize("doc_stride", [0, 7, 20, 28])
def test_the_span_of_every_window_that_holds_the_answer_is_the_answer(
    tokenizer: PreTrainedTokenizerFast, doc_stride: int
):
    questions = [ask(answer, "gave") for answer in ANSWERS]
    made = windows(questions, tokenizer, 40, doc_stride, for_training=True)
    num_held = np.zeros(len(questions), dtype=int)
    for window in made:
        question = questions[window.question]
        start, end = question.starts[0], question.starts[0] + len(question.answers[0])
        places = window.offsets[window.offsets[:, 0] >= 0]
        if places[0][0] <= start and end <= places[-1][1]:
            num_held[window.question] += 1
            assert span(window, CONTEXT) == question.answers[0]
            assert window.features["start_positions"] <= window.features["end_positions"]
        else:
            assert window.features["start_positions"] == window.features["end_positions"] == window.null_position
    assert num_held.sum() < len(made)
    if doc_stride >= 20:  # more tokens than the longest of the answers has
        assert num_held.min() >= 1


@pytest.mark.parametrize("doc_stride", [0, 5, 20])
def test_windows_cover_the_context_and_share_the_stride(tokenizer: PreTrainedTokenizerFast, doc_stride: int):
    made = windows([ask()], tokenizer, 40, doc_stride, for_training=False)
    whole = tokenizer(CONTEXT, add_special_tokens=False)["input_ids"]
    ids = [window.features["input_ids"][window.offsets[:, 0] >= 0].tolist() for window in made]
    assert len(made) > 2
    assert [*ids[0], *(token for part in ids[1:] for token in part[doc_stride:])] == whole
    for before, after in zip(ids, ids[1:], strict=False):
        assert before[len(before) - doc_stride :] == after[:doc_stride]
    covered = {place for window in made for start, end in window.offsets if start >= 0 for place in range(start, end)}
    assert covered >= {place for place, character in enumerate(CONTEXT) if not character.isspace()}


def test_a_short_context_is_one_window_and_windows_are_padded_on_the_left_alone(tokenizer: PreTrainedTokenizerFast):
    made = windows([ask(), ask(context="Rollo .")], tokenizer, 64, 8, for_training=False)
    *long, short = [len(window.offsets) for window in made]
    assert set(long[:-1]) == {64}
    assert short == 64 if tokenizer.padding_side == "left" else short < 20
    for window in made:
        ids, mask = window.features["input_ids"], window.features["attention_mask"]
        assert len(ids) == len(mask) == len(window.offsets) <= 64
        assert ids[window.null_position] == tokenizer.cls_token_id
        assert mask[window.offsets[:, 0] >= 0].all()
        assert ((ids == tokenizer.pad_token_id) == (mask == 0)).all()


def test_a_question_without_an_answer_points_to_the_null_position(tokenizer: PreTrainedTokenizerFast):
    for window in windows([ask()], tokenizer, 64, 8, for_training=True):
        assert window.features["start_positions"] == window.features["end_positions"] == window.null_position


def test_windows_for_scoring_have_no_positions(tokenizer: PreTrainedTokenizerFast):
    (window,) = windows([ask("Rollo", context="Rollo .")], tokenizer, 64, 8, for_training=False)
    assert set(window.features) == {"input_ids", "attention_mask"}


@pytest.mark.parametrize(
    ("answer", "marked"), [("eBay", "eBay"), ("Ba", "eBay"), (" sold", "sold"), ("on e", "on eBay")]
)
def test_an_answer_within_words_is_marked_by_the_tokens_that_it_touches(answer: str, marked: str):
    tokenizer = train_tokenizer(["it sold on eBay ."] * 9, 300)
    assert tokenizer.tokenize("on eBay") == ["Ġon", "ĠeBay"]
    (window,) = windows([ask(answer, context="it sold on eBay .")], tokenizer, 32, 0, for_training=True)
    assert span(window, "it sold on eBay .") == marked


def test_white_space_around_an_answer_is_not_looked_for(trained: PreTrainedTokenizerFast):
    context = "  Rollo agreed "
    for answer in (" Rollo", "  Rollo agreed "):
        (window,) = windows([ask(answer, context=context)], trained, 40, 0, for_training=True)
        assert span(window, context) == answer.strip()


def test_white_space_around_a_question_takes_no_room(trained: PreTrainedTokenizerFast):
    padded, plain = (
        windows([ask(question=question)], trained, 40, 8, for_training=False)
        for question in (" " * 50 + "who were they ?\n \n", "who were they ?")
    )
    assert [window.features["input_ids"].tolist() for window in padded] == [
        window.features["input_ids"].tolist() for window in plain
    ]


def test_an_answer_of_which_the_tokenizer_leaves_nothing_is_none():
    tokenizer = train_tokenizer(["a b"], 300, kind="wordpiece")
    (window,) = windows([ask("\x07", context="a \x07 b")], tokenizer, 32, 0, for_training=True)
    assert window.features["start_positions"] == window.features["end_positions"] == 0


@pytest.mark.parametrize(
    ("template", "names", "side", "null_position"),
    [
        ("[CLS] $A [SEP] $B [SEP]", {"cls_token": "[CLS]"}, "right", 0),
        ("[CLS] $A [SEP] $B [SEP]", {"bos_token": "[CLS]"}, "right", 0),
        ("$A [SEP] $B [CLS]", {"cls_token": "[CLS]"}, "right", 3),
        ("$A [SEP] $B [CLS]", {"cls_token": "[CLS]"}, "left", 7),
        ("$A [SEP] $B [CLS]", {"cls_token": "[SEP]", "bos_token": "[CLS]"}, "right", 1),
        ("$A $B [SEP]", {"cls_token": "[CLS]"}, "right", 0),
        ("$A $B [SEP]", {}, "left", 5),
    ],
)
def test_the_null_position_is_the_token_that_the_tokenizer_has_for_it(
    template: str, names: dict[str, str], side: str, null_position: int
):
    tokenizer = word_tokenizer(template, **names)
    tokenizer.padding_side = side
    (window,) = windows([ask(question="a", context="b")], tokenizer, 8, 0, for_training=True)
    assert window.null_position == window.features["start_positions"] == null_position


def test_a_missing_special_token_is_not_logged(caplog: pytest.LogCaptureFixture):
    windows([ask(question="a", context="b")], word_tokenizer("$A $B"), 8, 0, for_training=False)
    assert not caplog.records


def test_batches_of_questions_change_nothing(monkeypatch: pytest.MonkeyPatch, trained: PreTrainedTokenizerFast):
    questions = [ask(answer) for answer in ANSWERS]
    whole = windows(questions, trained, 64, 8, for_training=True)
    monkeypatch.setattr(windows_module, "_BATCH", 2)
    parts = windows(questions, trained, 64, 8, for_training=True)
    assert len(whole) == len(parts)
    for one, other in zip(whole, parts, strict=True):
        assert one.question == other.question
        assert one.features.keys() == other.features.keys()
        assert all(np.array_equal(one.features[name], other.features[name]) for name in one.features)


def test_a_collator_makes_batches_of_windows(tokenizer: PreTrainedTokenizerFast):
    made = windows([ask("Rollo"), ask(context="Rollo .")], tokenizer, 64, 8, for_training=True)
    batch = DataCollatorWithPadding(tokenizer)([window.features for window in made])
    assert batch["input_ids"].shape == batch["attention_mask"].shape == (len(made), 64)
    assert batch["start_positions"].tolist() == [window.features["start_positions"] for window in made]
    for window, ids, mask in zip(made, batch["input_ids"], batch["attention_mask"], strict=True):
        assert ids[mask == 1].tolist() == window.features["input_ids"][window.features["attention_mask"] == 1].tolist()
        assert ids[window.null_position] == tokenizer.cls_token_id


# Refusals


def test_a_tokenizer_that_is_not_fast_is_refused():
    with pytest.raises(InputError, match="windows: tokenizer must be a fast one, .* got ByT5Tokenizer"):
        windows([ask()], ByT5Tokenizer(), 64, 8, for_training=False)


@pytest.mark.parametrize("side", ["right", "left"])
def test_a_question_that_fills_the_window_is_refused_and_one_less_is_not(side: str):
    tokenizer = word_tokenizer(cls_token="[CLS]")
    tokenizer.padding_side = side
    questions = [ask(question="a", context="b c d"), ask(id="long", question="a b c d", context="e f g")]
    message = (
        "windows: max_seq_length must be greater than 7, since question 'long' takes 4 tokens and 3 are special ones, "
        "got 7"
    )
    with pytest.raises(InputError, match=message):
        windows(questions, tokenizer, 7, 0, for_training=False)
    assert [window.question for window in windows(questions, tokenizer, 8, 0, for_training=False)] == [0, 1, 1, 1]


@pytest.mark.parametrize("doc_stride", [-1, 3, 100])
def test_a_stride_that_the_window_has_no_room_for_is_refused(doc_stride: int):
    questions = [ask(question="a", context="b c"), ask(id="long", question="a b c d", context="e f g h i")]
    message = f"doc_stride must be at least 0 and less than 3, the tokens that question 'long' .*, got {doc_stride}"
    with pytest.raises(InputError, match=message):
        windows(questions, word_tokenizer(cls_token="[CLS]"), 10, doc_stride, for_training=False)


def test_the_greatest_stride_moves_by_one_token():
    made = windows([ask(question="a b c d", context="e f g h i")], word_tokenizer(cls_token="[CLS]"), 10, 2, False)
    assert [window.features["input_ids"][6:9].tolist() for window in made] == [[7, 8, 9], [8, 9, 10], [9, 10, 11]]
