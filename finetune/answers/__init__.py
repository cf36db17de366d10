"""Questions with a context: windows, spans and their metrics."""
