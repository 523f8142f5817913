"""Training tests run on one torch thread: the tensors are too small for more."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.tiny_training import one_thread


@pytest.fixture(autouse=True)
def single_thread() -> Iterator[None]:
    with one_thread():
        yield
