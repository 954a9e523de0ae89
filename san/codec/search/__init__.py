"""The encoder's choices: kernels, events, quantizer steps."""
