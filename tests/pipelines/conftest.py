"""The embedded broker as a fixture."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.pipelines.feed import Broker, embedded_broker


@pytest.fixture
def broker() -> Iterator[Broker]:
    yield from embedded_broker()
