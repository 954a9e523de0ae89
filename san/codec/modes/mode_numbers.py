"""Which number each mode of a payload has; a reader that decodes nothing needs no more."""

TRANSFORM, PREDICTIVE, SHARED, JOINT, ACROSS, FAST = 0, 1, 2, 3, 4, 5
NEWER_MODES = frozenset({JOINT, ACROSS, FAST})  # of version 4 of the format
PREDICTED_MODES = frozenset(
    {PREDICTIVE, JOINT, FAST}
)  # each sample is predicted: one part has all bytes
