"""Errors as people read them."""


def sentence(error: BaseException) -> str:
    """What went wrong in one line."""
    if isinstance(error, OSError) and error.strerror:
        name = error.filename or "a file of this run"
        return f"{name} cannot be used ({error.strerror}): mend that, or write elsewhere with output=DIR"
    return " ".join(str(error).split()) or type(error).__name__
