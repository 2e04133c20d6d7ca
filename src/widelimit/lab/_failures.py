"""What has gone wrong, as a sentence for people."""

import logging

log = logging.getLogger("widelimit.lab")


class Gone(Exception):
    """Raised by what talks to a page that has left."""


def sentence(error: Exception, what: str) -> str:
    """Return a sentence for an error; one that is no bad input is logged with its traceback as well.

    Parameters
    ----------
    error
        Its message is shown as it is if it is a ValueError, which in this library says what to do.
    what
        What could not be done, as the beginning of a sentence.
    """
    if isinstance(error, ValueError):
        text = str(error)
        return text[:1].upper() + text[1:]
    if isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in str(error):
        return f"{what}: there is not enough memory. A smaller width or fewer points may fit."
    log.error("%s", what, exc_info=error)
    return f"{what} because of an error in the program: {type(error).__name__}: {str(error)[:300]}"
