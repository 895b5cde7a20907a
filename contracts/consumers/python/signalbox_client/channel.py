"""Opens channels. What holds for every call, deadlines and retries, is the channel's
service config: gRPC applies it itself, so that no call site can forget it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import grpc

ServiceConfig = Mapping[str, Any]
"""Of the shape of https://github.com/grpc/grpc/blob/master/doc/service_config.md."""

_RETRY: Final = {
    # The first try counts; gRPC allows 5.
    "maxAttempts": 5,
    "initialBackoff": "0.1s",
    "maxBackoff": "2s",
    "backoffMultiplier": 2,
    # Only what says that nothing was done. RESOURCE_EXHAUSTED names the time to wait
    # in its details, which this policy does not read: see ErrorDetails.retry_after.
    "retryableStatusCodes": ["UNAVAILABLE"],
}

SERVICE_CONFIG: Final[ServiceConfig] = {
    "methodConfig": [
        # No name: every method. A call's own `timeout` can only be shorter.
        {"name": [{}], "timeout": "60s", "retryPolicy": _RETRY},
        # A long answer is no fault. A stream is tried again until its first message.
        {
            "name": [
                {
                    "service": "signalbox.router.v1.RouterService",
                    "method": "StreamChatCompletion",
                }
            ],
            "timeout": "600s",
            "retryPolicy": _RETRY,
        },
    ],
    # While most calls fail, retries would only add load.
    "retryThrottling": {"maxTokens": 10, "tokenRatio": 0.1},
}


def plaintext(target: str, config: ServiceConfig = SERVICE_CONFIG) -> grpc.Channel:
    """A channel without TLS to `host:port`: for this machine, or behind a mesh."""
    return grpc.insecure_channel(target, options=_options(config))


def secure(
    target: str,
    roots: bytes | None = None,
    config: ServiceConfig = SERVICE_CONFIG,
) -> grpc.Channel:
    """A channel with TLS to `host:port`. `roots` are the authorities to trust, PEM;
    those that gRPC ships when absent."""
    credentials = grpc.ssl_channel_credentials(root_certificates=roots)
    return grpc.secure_channel(target, credentials, options=_options(config))


def _options(config: ServiceConfig) -> list[tuple[str, Any]]:
    return [("grpc.service_config", json.dumps(config))]
