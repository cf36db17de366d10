"""A picture of an architecture: one SVG document, from the input at the top to the output at the bottom.

Lengths are in pixels. A box is as wide as its layer's hidden size, a bar as its feed-forward size, each on one scale
for the whole picture. Text is drawn only where it fits by `_text_width`, which errs on the wide side of the common
sans-serif fonts; what has no room stands beside the box and in the tooltip.
"""

import textwrap
from collections import Counter
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from design_space.architecture import Architecture
from design_space.layer import AnyLayer, Head, MixedLayer

MARGIN, BOX_LEFT, BOX_WIDTH, NOTES_LEFT, WIDTH = 24, 76, 560, 656, 888
CENTER, LEGEND_WIDTH = BOX_LEFT + BOX_WIDTH / 2, (WIDTH - 2 * MARGIN) / 3
PADDING, CELL_HEIGHT, BAR_HEIGHT, NORM_HEIGHT, SPACE, LINE, NOTE_CHARS = 7, 26, 13, 3, 5, 15, 30
INK, QUIET, FAINT, SHADE, PAPER = "#1f2933", "#5b6670", "#aab3bc", "#d3dae1", "#f5f7f9"
# Told apart with any colour vision: blues attend, oranges transform, purples convolve, darker for a larger kernel.
COLORS = {"sdp": "#0072b2", "wma": "#8fcdf5", "dft": "#bd4f00", "dct": "#f7c04a"}
SMALL_KERNEL, LARGE_KERNEL = (251, 217, 234), (106, 15, 76)
NAMES = {
    "sdp": "scaled dot-product attention",
    "wma": "weighted multiplicative attention",
    "dft": "discrete Fourier transform",
    "dct": "discrete cosine transform",
}
Box = tuple[float, float, float, float]  # left, top, width, height


def draw(architecture: Architecture, title: str = "Encoder architecture") -> str:
    """Draw an architecture as a self-contained SVG document.

    Its parts have classes to find them by: `layer`, `box`, `head`, `add-norm`, `residual`, `feed-forward`,
    `projection`, `legend`.

    Args:
        architecture: Any, of either form of layer.
        title: Heading; shortened in the picture where it is too long, whole in the tooltip.

    Returns:
        The document, the same for the same arguments.

    Example:
        >>> mini = Architecture.from_model_dict({"l": 1, "o": [["sa_sdp_64", "c_5_64"]], "h": [128], "f": [[512]]})
        >>> draw(mini).count('class="head"')
        2
    """
    layers = architecture.layers
    title = "".join(char if char.isprintable() else " " for char in title)
    box_scale = BOX_WIDTH / max(layer.hidden_size for layer in layers)
    bar_scale = min(_inner_width(box_scale * layer.hidden_size) / max(layer.feed_forward) for layer in layers)
    svg = Element("svg", {"xmlns": "http://www.w3.org/2000/svg", "role": "img", "font-family": "sans-serif"})
    svg.set("aria-label", f"{title}: {_count(len(layers), 'layer')}, id {architecture.id}")
    _add(svg, "title", title)
    paper = _add(svg, "rect", width=WIDTH, fill="#ffffff")
    y = _terminal(svg, _legend(svg, architecture, _heading(svg, architecture, title)), "input")
    sizes = [layers[0].hidden_size, *(layer.hidden_size for layer in layers)]
    for number, layer in enumerate(layers, start=1):
        y = _connection(svg, y, sizes[number - 1], layer.hidden_size, box_scale)
        y = _layer(svg, y, number, layer, box_scale, bar_scale)
    y = _terminal(svg, _connection(svg, y, sizes[-1], sizes[-1], box_scale), "output") + MARGIN
    paper.set("height", f"{y:g}")
    for name, value in (("viewBox", f"0 0 {WIDTH} {y:g}"), ("width", f"{WIDTH}"), ("height", f"{y:g}")):
        svg.set(name, value)
    indent(svg)
    return tostring(svg, encoding="unicode") + "\n"


def _heading(svg: Element, architecture: Architecture, title: str) -> float:
    """Title and id; returns where the next part begins, as all that draw from the top on."""
    _text(svg, MARGIN, MARGIN + 18, _shortened(title, WIDTH - 2 * MARGIN, 20), 18, INK, font_weight="bold")
    scales = "box width: hidden size · bar width: feed-forward size, on its own scale"
    _text(svg, MARGIN, MARGIN + 37, f"id {architecture.id} · {_count(len(architecture.layers), 'layer')} · {scales}")
    return MARGIN + 50


def _legend(svg: Element, architecture: Architecture, y: float) -> float:
    """Three entries a row: the operations that occur, in canonical order, then the other shapes that do."""
    heads = {head for layer in architecture.layers for head in _heads(layer)}
    operations = {_label(head): head for head in sorted(heads, key=lambda head: head.order)}
    entries = [(label, _color(head), CELL_HEIGHT - 10, _name(head)) for label, head in operations.items()]
    entries.append(("", SHADE, BAR_HEIGHT, "feed-forward layer"))
    entries.append(("", FAINT, NORM_HEIGHT, "add & norm, its residual on the left"))
    if len({layer.hidden_size for layer in architecture.layers}) > 1:
        entries.append(("", PAPER, BAR_HEIGHT, "projection to another hidden size"))
    group = _add(svg, "g", class_="legend")
    for place, (label, color, height, name) in enumerate(entries):
        left, middle = MARGIN + place % 3 * LEGEND_WIDTH, y + place // 3 * 22 + 11
        swatch = (left, middle - height / 2, 30, height)
        _rectangle(group, swatch, fill=color, stroke=FAINT if color == PAPER else "none")
        if label:
            _inscribe(group, swatch, label, _ink(color))
        _text(group, left + 38, middle + 4, _shortened(name, LEGEND_WIDTH - 42, 11))
    return y + (len(entries) + 2) // 3 * 22 + 14


def _terminal(svg: Element, y: float, name: str) -> float:
    _rectangle(svg, (CENTER - 40, y, 80, 22), radius=11, fill="#ffffff", stroke=FAINT, class_=name)
    _text(svg, CENTER, y + 15, name, anchor="middle")
    return y + 22


def _connection(svg: Element, y: float, before: int, after: int, scale: float) -> float:
    """An arrow, or between unequal hidden sizes a projection: a trapezoid from one width to the other."""
    if before == after:
        _add(svg, "path", d=f"M{CENTER:g} {y + 2:g}v8", stroke=FAINT, stroke_width=1.5)
        _add(svg, "path", d=f"M{CENTER - 4:g} {y + 9:g}h8l-4 5z", fill=FAINT)
        return y + 16
    top, bottom = before * scale / 2, after * scale / 2
    corners = [(-top, 4), (top, 4), (bottom, 22), (-bottom, 22)]
    points = " ".join(f"{CENTER + x:.6g},{y + down:g}" for x, down in corners)
    text = f"projection {before} → {after}"
    _add(svg, "polygon", tooltip=text, class_="projection", points=points, fill=PAPER, stroke=FAINT)
    if not _inscribe(svg, (CENTER - min(top, bottom), y + 4, 2 * min(top, bottom), 18), text, QUIET):
        _text(svg, NOTES_LEFT, y + 17, _shortened(text, WIDTH - NOTES_LEFT - 8, 11))
    return y + 26


def _layer(svg: Element, y: float, number: int, layer: AnyLayer, box_scale: float, bar_scale: float) -> float:
    facts = _facts(layer)
    notes = [line for fact in facts for line in textwrap.wrap(fact, NOTE_CHARS)]
    width, chain = box_scale * layer.hidden_size, len(layer.feed_forward) * (BAR_HEIGHT + 2) - 2
    first = y + PADDING + CELL_HEIGHT + SPACE
    bars = first + NORM_HEIGHT + SPACE
    second = bars + chain + SPACE
    bottom = max(second + NORM_HEIGHT + PADDING, y + len(notes) * LINE + 4)
    summary = f"layer {number}: {', '.join(facts)}"
    group = _add(svg, "g", tooltip=summary, class_="layer")
    left, inner = CENTER - width / 2, _inner_width(width)
    _rectangle(group, (left, y, width, bottom - y), radius=6, fill=PAPER, stroke=FAINT, class_="box")
    _text(group, BOX_LEFT - 20, y + PADDING + 18, str(number), 15, anchor="end", font_weight="bold")
    for line, note in enumerate(notes):
        _text(group, NOTES_LEFT, y + 13 + line * LINE, note, fill=QUIET if line else INK)
    _draw_heads(group, (CENTER - inner / 2, y + PADDING, inner, CELL_HEIGHT), _heads(layer))
    _draw_bars(group, bars, layer.feed_forward, bar_scale, inner)
    for start, end in ((y + PADDING, first), (first + NORM_HEIGHT + 3, second)):
        _rectangle(group, (CENTER - inner / 2, end, inner, NORM_HEIGHT), fill=FAINT, class_="add-norm")
        path = f"M{left:.6g} {start:g}h-4q-4 0 -4 4V{end - 2.5:g}q0 4 4 4h4"
        _add(group, "path", d=path, fill="none", stroke=FAINT, class_="residual")
    return bottom


def _draw_heads(group: Element, box: Box, heads: tuple[Head, ...]) -> None:
    """Cells side by side, as wide as their heads' shares."""
    left, top, width, height = box
    gap = min(3.0, 0.15 * width / len(heads))
    share = (width - gap * (len(heads) - 1)) / sum(head.width for head in heads)
    widest = max(map(_label, heads), key=lambda label: _text_width(label, 1))
    for number, head in enumerate(heads, start=1):
        cell = (left, top, share * head.width, height)
        tooltip = f"head {number} of {len(heads)}: {_name(head)} ({_label(head)}), width {head.width}"
        _rectangle(group, cell, tooltip=tooltip, fill=_color(head), class_="head")
        _inscribe(group, cell, _label(head), _ink(_color(head)), widest)
        left += cell[2] + gap


def _draw_bars(group: Element, y: float, sizes: tuple[int, ...], scale: float, room: float) -> None:
    """One bar a feed-forward layer, its size within or else to its right."""
    for number, size in enumerate(sizes, start=1):
        width, text = scale * size, str(size)
        tooltip = f"feed-forward {number} of {len(sizes)}: {size}"
        bar = (CENTER - width / 2, y, width, BAR_HEIGHT)
        _rectangle(group, bar, tooltip=tooltip, fill=SHADE, class_="feed-forward")
        beside = (CENTER + width / 2, y, min((room - width) / 2, _text_width(text, 10) + 4), BAR_HEIGHT)
        if not _inscribe(group, bar, text, INK):
            _inscribe(group, beside, text, INK)
        y += BAR_HEIGHT + 2


def _inscribe(parent: Element, box: Box, text: str, fill: str, widest: str = "") -> bool:
    """Write into the middle of a box, upright or turned, at the largest size at which `widest` fits; False if none."""
    left, top, width, height = box
    x, y = left + width / 2, top + height / 2
    for turned, length, thickness in ((False, width, height), (True, height, width)):
        for size in (11, 10, 9, 8):
            if _text_width(widest or text, size) + 3 <= length and size + 2 <= thickness:
                turn = {"transform": f"rotate(-90 {x:.6g} {y:.6g})"} if turned else {}
                _text(parent, x, y + 0.36 * size, text, size, fill, "middle", **turn)
                return True
    return False


def _heads(layer: AnyLayer) -> tuple[Head, ...]:
    if isinstance(layer, MixedLayer):
        return layer.heads
    return (Head(layer.operation, layer.parameter, layer.hidden_size // layer.num_heads),) * layer.num_heads


def _facts(layer: AnyLayer) -> list[str]:
    """What stands beside a box; the spaces of one entry do not break."""
    heads = _heads(layer)
    widths = sorted({head.width for head in heads})
    operations = [f"{number} × {label}" for label, number in Counter(map(_label, heads)).items()]
    span = f"{widths[0]} – {widths[-1]}" if len(widths) > 1 else str(widths[0])
    return [
        f"hidden {layer.hidden_size}, {_count(len(heads), 'head')} of {span}",
        ", ".join(entry.replace(" ", "\u00a0") for entry in operations),
        f"feed-forward {', '.join(map(str, layer.feed_forward))}",
    ]


def _label(head: Head) -> str:
    return f"k{head.parameter}" if head.operation == "c" else head.parameter


def _name(head: Head) -> str:
    return NAMES.get(head.parameter, f"convolution, kernel {head.parameter}")


def _color(head: Head) -> str:
    if head.operation != "c":
        return COLORS[head.parameter]
    share = 1 - 2 ** (-(int(head.parameter) - 1) / 6)
    mixed = (round(a + (b - a) * share) for a, b in zip(SMALL_KERNEL, LARGE_KERNEL, strict=True))
    return "#" + "".join(f"{part:02x}" for part in mixed)


def _ink(color: str) -> str:
    """Black or white, whichever contrasts more: at least 4.5 to 1 (WCAG 2.1, relative luminance)."""
    red, green, blue = ((int(color[place : place + 2], 16) / 255) ** 2.2 for place in (1, 3, 5))
    return "#000000" if 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.179 else "#ffffff"


def _inner_width(width: float) -> float:
    return width - 2 * min(PADDING, 0.1 * width)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _text_width(text: str, size: float) -> float:
    """An upper estimate: in DejaVu Sans, among the widest, most letters and digits take up to 0.64 of the size."""
    narrow, wide = " .,:;'|!iljtfr()[]·\u00a0", "mwMW@%…—→"
    return size * sum(
        1.4 if char > "\u1100" else 0.42 if char in narrow else 1.0 if char in wide else 0.8 if char.isupper() else 0.65
        for char in text
    )


def _shortened(text: str, room: float, size: float) -> str:
    if _text_width(text, size) <= room:
        return text
    text = text[: int(room / size / 0.42)]  # no letter is narrower
    while text and _text_width(text + "…", size) > room:
        text = text[:-1]
    return text + "…"


def _text(
    parent: Element, x: float, y: float, text: str, size: float = 11, fill: str = QUIET, anchor: str = "", **more: str
) -> None:
    if anchor:
        more["text_anchor"] = anchor
    _add(parent, "text", text, x=x, y=y, font_size=size, fill=fill, **more)


def _rectangle(parent: Element, box: Box, radius: float = 2, tooltip: str = "", **more: str) -> None:
    left, top, width, height = box
    radius = min(radius, width / 4)
    _add(parent, "rect", tooltip=tooltip, x=left, y=top, width=width, height=height, rx=radius, **more)


def _add(parent: Element, tag: str, text: str = "", tooltip: str = "", **attributes: str | float) -> Element:
    """Append an element; `class_` stands for class, `font_size` for font-size."""
    element = SubElement(parent, tag)
    for name, value in attributes.items():
        written = value if isinstance(value, str) else f"{value:.6g}"
        element.set(name.rstrip("_").replace("_", "-"), written)
    element.text = text or None
    if tooltip:
        SubElement(element, "title").text = tooltip
    return element
