"""How a stream can be cut: the same bytes in any segments."""

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy


def segmented(data: SearchStrategy[bytes]) -> SearchStrategy[list[bytes]]:
    """Some bytes in any number of segments, none of them empty."""
    return st.tuples(data, st.lists(st.integers(min_value=1, max_value=5))).map(_cut)


def _cut(drawn: tuple[bytes, list[int]]) -> list[bytes]:
    data, sizes = drawn
    segments = []
    for size in sizes:
        segments.append(data[:size])
        data = data[size:]
    return [segment for segment in [*segments, data] if segment]
