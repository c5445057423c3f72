"""The one exception for input that the user can mend."""


class BadInput(Exception):
    """Bad input: the message is one line that says what was wrong and what is allowed.

    The command line prints it on standard error and exits with status 2.
    """
