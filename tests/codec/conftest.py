"""The tests of the codec run over both implementations."""

from collections.abc import Iterator

import pytest

from tracewinnow.codec import backend


@pytest.fixture(params=["kernels", "reference"])
def implementation(request: pytest.FixtureRequest) -> Iterator[str]:
    """Runs the test once with the kernels and once with the reference."""
    backend.use(request.param)
    yield request.param
    backend.use("kernels")
