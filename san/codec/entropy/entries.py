"""What Python calls each loop of the codec with, where that is not an integer.

Arrays have one dimension. A named tuple is named by its module below `san.codec` and its class. A
`real` is a float64. A new loop that Python calls needs a line here.
"""

ENTRIES: dict[str, str] = {
    "san.codec.entropy.range_coder.code_raw_bits": "coder: int64, data: uint8",
    "san.codec.entropy.range_coder.code_all_raw": "coder: int64, data: uint8, values: int64",
    "san.codec.entropy.mixing.code_simple_bit": "mixer: entropy.mixing.Mixer",
    "san.codec.entropy.mixing.code_number": "mixer: entropy.mixing.Mixer",
    "san.codec.search.pursuit._suppress": "state: uint8, order: int64",
    "san.codec.search.pursuit._strongest": (
        "similarity: float32, strongest: float32, threshold: real"
    ),
    "san.codec.search.pursuit._take": (
        "similarity: float32, gram: float32, peaks: int64, positions: int64, chosen: int64, "
        "amplitudes: float64"
    ),
    "san.codec.search.pursuit._strongest_near": (
        "similarity: float32, strongest: float32, peaks: int64, threshold: real"
    ),
    "san.codec.search.pursuit._refit": (
        "left: float32, kernels: float32, positions: int64, chosen: int64, amplitudes: float64"
    ),
    "san.codec.search.pursuit._add": (
        "x: float32, kernels: float32, positions: int64, chosen: int64, amplitudes: float64, "
        "sign: real"
    ),
    "san.codec.search.pursuit.estimate_bits": "work: float64, lifting: float64",
    "san.codec.search.pursuit._prune": (
        "left: float32, kernels: float32, positions: int64, chosen: int64, amplitudes: float64, "
        "order: int64, bits: real, lifting: float64, work: float64"
    ),
    "san.codec.modes.experts.solve": "model: modes.experts.Model",
    "san.codec.modes.fast_frames.decode_frame": (
        "bits: uint32, words: uint16, room: modes.fast_room.Room, "
        "laws: modes.fast_laws.Tables, bounds: int64"
    ),
    "san.codec.modes.fast_coding.code_frame": (
        "room: modes.fast_room.Room, fit: modes.fast_fit.Fit, draft: modes.fast_packing.Draft, "
        "laws: modes.fast_laws.Tables, bounds: int64"
    ),
    "san.codec.modes.least_squares.solve": (
        "solver: modes.least_squares.Solver, moments: int64, weights: int64"
    ),
    "san.codec.modes.predictive.code_samples": (
        "mixer: modes.decisions.Mixer, model: modes.experts.Model, samples: int64, decoded: int64, "
        "touched: int64"
    ),
    "san.codec.modes.joint_experts.place_features": (
        "model: modes.joint_experts.Model, mates: int64"
    ),
    "san.codec.modes.joint_experts.learn": "model: modes.joint_experts.Model",
    "san.codec.modes.joint.code_mates": "mixer: entropy.mixing.Mixer, mates: int64",
    "san.codec.modes.joint.code_samples": (
        "mixer: entropy.mixing.Mixer, model: modes.joint_experts.Model, samples: int64, "
        "decoded: int64"
    ),
    "san.codec.modes.bands.code_band": (
        "mixer: entropy.mixing.Mixer, q: int64, magnitude: int64, around: modes.bands.Around"
    ),
    "san.codec.modes.across.rotate": "rows: int64, angles: int64, sines: int64",
    "san.codec.modes.events.code_events": (
        "mixer: entropy.mixing.Mixer, starts: int64, kernels: int64, amplitudes: int64, "
        "memory: int64"
    ),
}
