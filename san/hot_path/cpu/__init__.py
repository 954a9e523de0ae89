"""The hot path on a CPU: each selection on NumPy arrays, compiled."""
