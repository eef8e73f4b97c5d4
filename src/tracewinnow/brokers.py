"""Addresses of Kafka brokers, looked at before librdkafka has them: of a port that is too large it takes the lower 16 bits."""

from __future__ import annotations

import re

PORT = re.compile(r"[0-9]{1,5}")


def wrong_address(bootstrap: str) -> str:
    """What is wrong with a port of "host:port,...", in a sentence; "" where nothing is. A port may be left out."""
    for address in bootstrap.split(","):
        name = address.strip().rpartition("://")[2].partition("/")[0]
        host, colon, port = name.rpartition(":")
        if not colon or (":" in host and not host.endswith("]")):  # no port, or an address of IPv6 alone
            continue
        if not PORT.fullmatch(port) or not 1 <= int(port) <= 65535:
            return f"the port of {address.strip()!r} is no number from 1 to 65535; write for instance kafka:9092"
    return ""
