"""The front door: one file per command, and the only place that reads the environment."""
