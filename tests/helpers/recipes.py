"""A recipe that takes a second."""

QUICK = {
    "steps": 6,
    "batch": 16,
    "learning_rate": 4e-3,
    "betas": [0.9, 0.95],
    "weight_decay": 0.01,
    "warmup": 2,
    "clip": 1.0,
    "loss": "completion",
    "mark": 1.0,
    "check_every": 4,
    "check_problems": 32,
    "padding": "none",
    "snapshots": 0,
}
