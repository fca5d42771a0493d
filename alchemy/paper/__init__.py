"""The published paper, measured again."""
