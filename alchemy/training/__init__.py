"""How weights change: next-token training, policy gradients, and what they are shown."""
