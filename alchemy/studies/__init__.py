"""Studies: one question a file, one function `run` each."""
