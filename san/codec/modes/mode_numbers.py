"""Which number each mode of a payload has; a reader that decodes nothing needs no more."""

TRANSFORM, PREDICTIVE, SHARED, JOINT, ACROSS = 0, 1, 2, 3, 4
NEWER_MODES = frozenset({JOINT, ACROSS})  # of version 4 of the format
PREDICTED_MODES = frozenset({PREDICTIVE, JOINT})  # each sample is predicted: one part has all bytes
