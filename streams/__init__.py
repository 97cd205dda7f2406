"""The log and the loop that reads it: one transaction per batch, each record counted exactly once."""
