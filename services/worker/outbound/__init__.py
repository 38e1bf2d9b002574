"""Requests to URLs that strangers chose: no address but a public one is ever connected to, and all has a limit."""

from services.worker.outbound.answer import Answer
from services.worker.outbound.client import Outbound, Times
from services.worker.outbound.errors import (
    AddressRefused,
    AnswerTooLarge,
    BrokenOff,
    Encoded,
    OutboundError,
    StatusFailed,
    StatusRefused,
    TooManyRedirects,
    TooSlow,
    Unreachable,
    UrlRefused,
)

__all__ = [
    "AddressRefused",
    "Answer",
    "AnswerTooLarge",
    "BrokenOff",
    "Encoded",
    "Outbound",
    "OutboundError",
    "StatusFailed",
    "StatusRefused",
    "Times",
    "TooManyRedirects",
    "TooSlow",
    "Unreachable",
    "UrlRefused",
]
