"""The sparse selections of samples: the torch operation, the compiled loops, the GPU kernels."""
