"""Calls Signalbox: a connection, its stubs, and errors with names."""

from signalbox_client.channel import SERVICE_CONFIG, plaintext, secure
from signalbox_client.client import Client, TextStream
from signalbox_client.errors import ErrorDetails, FieldViolation

__all__ = [
    "SERVICE_CONFIG",
    "Client",
    "ErrorDetails",
    "FieldViolation",
    "TextStream",
    "plaintext",
    "secure",
]
