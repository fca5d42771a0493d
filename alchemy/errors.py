"""Errors as people read them."""


def sentence(error: BaseException, elsewhere: str = "output=DIR") -> str:
    """What went wrong in one line; `elsewhere` is how the command is told to write to another place."""
    if isinstance(error, OSError) and error.strerror:
        name = error.filename or "a file of this run"
        return f"{name} cannot be used ({error.strerror}): mend that, or write elsewhere with {elsewhere}"
    return " ".join(str(error).split()) or type(error).__name__
