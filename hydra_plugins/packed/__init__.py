"""The launcher and the sweeper of the lab, which Hydra finds in the package hydra_plugins."""
