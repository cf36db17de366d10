import os
import re
import subprocess
import sys
from collections import Counter
from itertools import combinations
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import pytest

from design_space.architecture import Architecture
from design_space.draw import draw
from design_space.layer import Head, Layer, MixedLayer

SVG = "{http://www.w3.org/2000/svg}"
HEADS = (("sa", "sdp"), ("sa", "wma"), ("l", "dft"), ("l", "dct"), ("c", "5"), ("c", "9"), ("c", "13"))


def mixed_layer(number: int) -> MixedLayer:
    hidden_size, num_heads = ((768, 12), (512, 8), (256, 12), (128, 2))[number % 4]
    heads = tuple(Head(*HEADS[(number + head) % len(HEADS)], hidden_size // num_heads) for head in range(num_heads))
    return MixedLayer(heads, hidden_size, ((3072, 1024, 256), (512,), (1024, 3072))[number % 3])


TINY = Architecture((Layer("sa", "sdp", 128, 2, (512,)),) * 2)
WINNER = Architecture((Layer("sa", "sdp", 256, 2, (512,) * 3),) * 2 + (Layer("l", "dct", 128, 4, (1024,)),) * 2)
LARGE = Architecture((Layer("sa", "sdp", 1024, 8, (2048,) * 3),) * 12 + (Layer("l", "dct", 512, 16, (4096,)),) * 12)
MIXED = Architecture(tuple(mixed_layer(number) for number in range(12)))
EXTREME = Architecture(
    (
        Layer("c", "5", 16, 1, (4096,)),
        Layer("sa", "wma", 1024, 64, (16, 4096)),
        Layer("l", "dft", 16, 16, (16,) * 12),
        Layer("c", "1" * 18, 1024, 2, (1024,)),
    )
)
UNEVEN = Architecture(
    (MixedLayer((Head("sa", "sdp", 500), *(Head("c", f"{k}", 3) for k in range(1, 99, 2))), 64, (9,)),)
)
EXAMPLES = {"tiny": TINY, "winner": WINNER, "large": LARGE, "mixed": MIXED, "extreme": EXTREME, "uneven": UNEVEN}
ALL = pytest.mark.parametrize("architecture", EXAMPLES.values(), ids=EXAMPLES.keys())


def parsed(architecture: Architecture, title: str = "Encoder architecture") -> Element:
    return ElementTree.fromstring(draw(architecture, title))


def of_class(root: Element, name: str) -> list[Element]:
    return [element for element in root.iter() if element.get("class") == name]


def widths(elements: list[Element]) -> list[float]:
    return [float(element.attrib["width"]) for element in elements]


def extent(text: Element) -> tuple[float, float, float, float]:
    """Left, top, right and bottom at 0.6 of the font size a character, about the mean of a wide sans-serif font."""
    size, x, y = (float(text.attrib[name]) for name in ("font-size", "x", "y"))
    length = 0.6 * size * len(text.text or "")
    if "transform" in text.attrib:
        middle = y - 0.36 * size
        return x - size / 2, middle - length / 2, x + size / 2, middle + length / 2
    left = x - length * {"middle": 0.5, "end": 1.0}.get(text.get("text-anchor", ""), 0.0)
    return left, y - 0.75 * size, left + length, y + 0.2 * size


@ALL
def test_one_group_a_layer_one_cell_a_head_one_bar_a_feed_forward(architecture: Architecture) -> None:
    root = parsed(architecture)
    groups = of_class(root, "layer")
    assert root.tag == f"{SVG}svg"
    assert len(groups) == len(architecture.layers)
    for group, layer in zip(groups, architecture.layers, strict=True):
        assert len(of_class(group, "box")) == 1
        assert len(of_class(group, "head")) == layer.num_heads
        assert len(of_class(group, "feed-forward")) == len(layer.feed_forward)
        assert len(of_class(group, "add-norm")) == len(of_class(group, "residual")) == 2


@ALL
def test_widths_are_proportional_to_sizes(architecture: Architecture) -> None:
    root = parsed(architecture)
    boxes, bars = widths(of_class(root, "box")), widths(of_class(root, "feed-forward"))
    hidden = [layer.hidden_size for layer in architecture.layers]
    sizes = [size for layer in architecture.layers for size in layer.feed_forward]
    assert boxes == pytest.approx([boxes[0] / hidden[0] * size for size in hidden], rel=1e-4)
    assert bars == pytest.approx([bars[0] / sizes[0] * size for size in sizes], rel=1e-4)


def test_cells_are_as_wide_as_their_heads() -> None:
    layer = MixedLayer((Head("sa", "sdp", 96), Head("l", "dct", 32)), 128, (512,))
    wide, narrow = widths(of_class(parsed(Architecture((layer,))), "head"))
    assert wide == pytest.approx(3 * narrow, rel=1e-4)


@ALL
def test_cells_and_bars_lie_in_their_box_side_by_side(architecture: Architecture) -> None:
    for group in of_class(parsed(architecture), "layer"):
        left, width = (float(of_class(group, "box")[0].attrib[name]) for name in ("x", "width"))
        parts = [(float(part.attrib["x"]), float(part.attrib["width"])) for part in of_class(group, "head")]
        assert all(x + size < after for (x, size), (after, _) in zip(parts, parts[1:], strict=False))
        parts += [(float(part.attrib["x"]), float(part.attrib["width"])) for part in of_class(group, "feed-forward")]
        assert all(left < x and x + size < left + width and size > 0 for x, size in parts)


@ALL
@pytest.mark.parametrize("title", ["Short", "long " * 100, "語" * 300])
def test_every_text_lies_within_the_picture_and_on_no_other(architecture: Architecture, title: str) -> None:
    root = parsed(architecture, title)
    _, _, width, height = map(float, root.attrib["viewBox"].split())
    extents = [extent(text) for text in root.iter(f"{SVG}text")]
    assert all(x >= 0 and y >= 0 and right <= width and bottom <= height for x, y, right, bottom in extents)
    for (x, y, right, bottom), (x2, y2, right2, bottom2) in combinations(extents, 2):
        assert right <= x2 or right2 <= x or bottom <= y2 or bottom2 <= y


@ALL
def test_a_label_lies_within_its_cell(architecture: Architecture) -> None:
    for group in of_class(parsed(architecture), "layer"):
        parts = list(group)
        for cell, label in zip(parts, parts[1:], strict=False):
            if cell.get("class") == "head" and label.tag == f"{SVG}text":
                x, y, width, height = (float(cell.attrib[name]) for name in ("x", "y", "width", "height"))
                left, top, right, bottom = extent(label)
                assert x <= left
                assert y <= top
                assert right <= x + width
                assert bottom <= y + height


def test_heads_of_a_12_layer_mixed_architecture_are_labelled_and_have_a_colour_an_operation() -> None:
    root = parsed(MIXED)
    cells = of_class(root, "head")
    colors = {cell.attrib["fill"] for cell in cells}
    names = {(cell.findtext(f"{SVG}title") or "").split(": ")[1].split(",")[0] for cell in cells}
    assert len(colors) == len(HEADS)
    assert "weighted multiplicative attention (wma)" in names
    texts = Counter(text.text for group in of_class(root, "layer") for text in group.iter(f"{SVG}text"))
    assert sum(texts[label] for label in ("sdp", "wma", "dft", "dct", "k5", "k9", "k13")) == len(cells)


def test_the_legend_has_only_what_occurs() -> None:
    def legend(architecture: Architecture) -> list[str | None]:
        return [text.text for text in of_class(parsed(architecture), "legend")[0].iter(f"{SVG}text")]

    shapes = ["feed-forward layer", "add & norm, its residual on the left"]
    assert legend(TINY) == ["sdp", "scaled dot-product attention", *shapes]
    attention = ["sdp", "scaled dot-product attention", "dct", "discrete cosine transform"]
    assert legend(WINNER) == [*attention, *shapes, "projection to another hidden size"]


def test_a_projection_stands_where_hidden_sizes_differ() -> None:
    assert not of_class(parsed(TINY), "projection")
    (projection,) = of_class(parsed(WINNER), "projection")
    assert projection.findtext(f"{SVG}title") == "projection 256 → 128"


def test_sizes_id_and_title_are_written_and_spoken() -> None:
    root = parsed(WINNER, "The winner")
    texts = [text.text or "" for text in root.iter(f"{SVG}text")]
    assert "The winner" in texts
    assert any(WINNER.id in text for text in texts)
    assert "hidden 128, 4 heads of 32" in texts
    assert "feed-forward 512, 512, 512" in texts
    assert root.get("role") == "img"
    assert root.get("aria-label") == f"The winner: 4 layers, id {WINNER.id}"
    assert root.findtext(f"{SVG}title") == "The winner"


def test_a_title_is_escaped_and_what_xml_forbids_left_out() -> None:
    title = "</text><script>\"'&\x00\n\ud800\uffff"
    document = draw(TINY, title)
    assert "<script>" not in document
    document.encode()
    assert ElementTree.fromstring(document).findtext(f"{SVG}title") == "</text><script>\"'&    "


def test_texts_on_cells_contrast_with_them() -> None:
    def luminance(color: str) -> float:
        parts = [int(part, 16) / 255 for part in re.findall("[0-9a-f]{2}", color)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return sum(share * part for share, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    parts = [part for group in of_class(parsed(MIXED), "layer") for part in group]
    pairs = {
        (a.attrib["fill"], b.attrib["fill"]) for a, b in zip(parts, parts[1:], strict=False) if a.get("class") == "head"
    }
    assert len(pairs) == len(HEADS)
    for pair in pairs:
        dark, light = sorted(map(luminance, pair))
        assert (light + 0.05) / (dark + 0.05) >= 4.5


def test_the_same_architecture_gives_the_same_document_also_in_a_new_process() -> None:
    code = "import sys; from design_space.architecture import Architecture; from design_space.draw import draw; "
    code += "sys.stdout.buffer.write(draw(Architecture.from_json(sys.argv[1])).encode())"
    arguments = [sys.executable, "-c", code, str(MIXED.to_model_dict()).replace("'", '"')]
    other = subprocess.run(arguments, check=True, capture_output=True, env={**os.environ, "PYTHONHASHSEED": "7"})
    assert draw(MIXED) == draw(MIXED) == other.stdout.decode()
