"""Which number says how right a completion is, why it is wrong, and what a model knows."""
