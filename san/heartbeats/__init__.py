"""Heartbeats of an electrocardiogram: where they are, how they look, how two lists agree."""
