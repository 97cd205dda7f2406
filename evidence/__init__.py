"""Proof: what was recorded can be recomputed, and a change of it is seen."""
