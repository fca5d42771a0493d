"""Benchmarks of the lab beside the tools that a user would take instead. They print ratios and assert nothing."""
