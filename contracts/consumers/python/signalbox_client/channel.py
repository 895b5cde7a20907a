"""Opens channels. What holds for every call, deadlines and retries, is the channel's, so
that no call site can forget it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import grpc

from signalbox_client.deadlines import DefaultTimeout

ServiceConfig = Mapping[str, Any]
"""Of the shape of https://github.com/grpc/grpc/blob/master/doc/service_config.md."""

SERVICE_CONFIG: Final[ServiceConfig] = {
    "methodConfig": [
        {
            # Every method. A stream is tried again until its first message.
            "name": [{}],
            "retryPolicy": {
                # The first try counts; gRPC allows 5.
                "maxAttempts": 5,
                "initialBackoff": "0.1s",
                "maxBackoff": "2s",
                "backoffMultiplier": 2,
                # Only what says that nothing was done. RESOURCE_EXHAUSTED names the
                # time to wait in its details, which no policy reads: see
                # ErrorDetails.retry_after.
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        }
    ],
    # While most calls fail, retries would only add load.
    "retryThrottling": {"maxTokens": 10, "tokenRatio": 0.1},
}

_TIMEOUT: Final = DefaultTimeout(single=60, stream=600)


def plaintext(target: str, config: ServiceConfig = SERVICE_CONFIG) -> grpc.Channel:
    """A channel without TLS to `host:port`: for this machine, or behind a mesh."""
    channel = grpc.insecure_channel(target, options=_options(config))
    return grpc.intercept_channel(channel, _TIMEOUT)


def secure(
    target: str,
    roots: bytes | None = None,
    config: ServiceConfig = SERVICE_CONFIG,
) -> grpc.Channel:
    """A channel with TLS to `host:port`. `roots` are the authorities to trust, PEM;
    those that gRPC ships when absent."""
    credentials = grpc.ssl_channel_credentials(root_certificates=roots)
    channel = grpc.secure_channel(target, credentials, options=_options(config))
    return grpc.intercept_channel(channel, _TIMEOUT)


def _options(config: ServiceConfig) -> list[tuple[str, Any]]:
    return [("grpc.service_config", json.dumps(config))]
