"""The errors a person may read.

A :class:`LipsyncError` is one sentence that says what was found, what is needed and what to do;
screen and command line show it word for word. Anything else that escapes is a bug of ours and
keeps its traceback.
"""


class LipsyncError(Exception):
    """Something the user can mend; the message is written for them. Command line exit code 2."""


class InputError(LipsyncError):
    """A file, a setting or a choice of the user's cannot be used as it is."""


class OutputError(LipsyncError):
    """The result cannot be written where it was asked for (permissions, disk space, same file)."""


class FetchError(LipsyncError):
    """Something cannot be fetched over the network, or it is not what was promised."""
