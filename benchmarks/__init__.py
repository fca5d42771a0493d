"""What the lab's work costs, side by side with what a user would pick instead. Prints ratios; asserts nothing."""
