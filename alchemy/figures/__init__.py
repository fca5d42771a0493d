"""Pictures and pages of any run, drawn from its records alone."""
