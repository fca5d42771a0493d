"""From settings to a finished folder: composed, checked, built, trained, measured."""
