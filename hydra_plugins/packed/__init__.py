"""What Hydra finds by the name of this folder."""
