"""The networks: what they compute, how their kernels meet signals, how many learn together."""
