"""The one error of the checker."""


class CheckError(Exception):
    """Something could not be read, or is outside what the checker understands; the message says what and where."""
