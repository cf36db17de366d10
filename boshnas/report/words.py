"""Numbers and times as a person reads them."""


def parameters(params: int | None) -> str:
    """A number of weights, or that it is not known."""
    return "not known" if params is None else f"{params:,}"


def readable_time(hours: float) -> tuple[float, str]:
    """What hours are multiplied by so that a time is easy to read, and what they are then.

    Example:
        >>> readable_time(2.5), readable_time(0.1)
        ((1.0, 'hours'), (60.0, 'minutes'))
    """
    if hours >= 1:
        return 1.0, "hours"
    return (60.0, "minutes") if hours >= 1 / 60 else (3600.0, "seconds")


def duration(seconds: float) -> str:
    """A time in the unit that fits.

    Example:
        >>> duration(42.0), duration(60.0), duration(9000.0)
        ('42 seconds', '1 minute', '2.5 hours')
    """
    scale, unit = readable_time(seconds / 3600)
    value = scale * seconds / 3600
    text = f"{value:.3g}" if value < 1000 else f"{value:,.0f}"
    return f"{text} {unit.removesuffix('s') if text == '1' else unit}"
