"""Ports of brokers, before librdkafka has them."""

from __future__ import annotations

import pytest

from tracewinnow.brokers import wrong_address


@pytest.mark.parametrize(
    "good",
    ["", "kafka", "kafka:9092", "a:1, b:65535", "[::1]:9092", "[::1]", "::1", "SASL_SSL://kafka:9093", "a:9092/"],
)
def test_addresses_that_can_be(good: str) -> None:
    assert wrong_address(good) == ""


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ("127.0.0.1:99999", "127.0.0.1:99999"),
        ("a:9092,b:65536", "b:65536"),
        ("kafka:0", "kafka:0"),
        ("kafka:-1", "kafka:-1"),
        ("kafka:", "kafka:"),
        ("kafka:port", "kafka:port"),
        ("[::1]:99999", "[::1]:99999"),
        ("SSL://kafka:" + "9" * 5000, "SSL://kafka:9"),
    ],
)
def test_ports_that_cannot_be(wrong: str, named: str) -> None:
    told = wrong_address(wrong)
    assert f"the port of '{named}" in told
    assert "from 1 to 65535" in told
