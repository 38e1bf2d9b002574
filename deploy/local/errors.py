"""What can go wrong on one machine; each message is for the user, a sentence first."""


class LocalError(Exception):
    """Something that the user can put right."""


class ServerError(LocalError):
    """A server is not installed or did not start; its last log lines follow the sentence."""


class StackError(LocalError):
    """A part of the stack did not start, or ended by itself."""


class RedisUnreachable(LocalError):
    """Redis does not answer, or not to us."""
