"""The hot path on a GPU: the same selections in Triton."""
