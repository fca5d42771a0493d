"""The tasks, also called worlds, one file each."""
