"""Servers on a client's word: what would be refused when it is fetched from or sent to is refused at once.

That is, as far as the URL itself says it: what a name leads to only the worker sees, when it connects.
"""

from collections.abc import Sequence

from pydantic import HttpUrl, ValidationError

from services.api.problems import FieldError
from shared.addresses import AddressRule, literal


class Destinations:
    """Holds URLs against the rule of addresses."""

    def __init__(self, rule: AddressRule) -> None:
        self._rule = rule

    def errors(self, url: HttpUrl | str, path: Sequence[str]) -> Sequence[FieldError]:
        """What is wrong with a URL, which is at this path of the body."""
        try:
            # A host as browsers read it: 127.1, %31%32%37.0.0.1 and fullwidth digits are 127.0.0.1.
            host = HttpUrl(str(url)).host or ""
        except ValidationError:
            return []
        address = literal(host)
        if address is None or self._rule.permits(address):
            return []
        return [FieldError.at("body", path, "The URL's server is not on the internet but within a network.")]
