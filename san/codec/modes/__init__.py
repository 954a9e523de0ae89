"""The modes in which a chunk is coded: events and wavelet, or prediction."""
