"""Which beginnings of kernels are tried, on how much of a signal, and how long.

Learning ends in another local optimum from each beginning, and they differ by several per cent of
the bytes. More beginnings find better ones and cost time: how many pay depends on the signal.
"""

from typing import Literal, NamedTuple

Start = tuple[float, int, int | None]
Care = Literal["brief", "usual", "thorough"]  # how much time learning may take


class Way(NamedTuple):
    """How many kernels are tried, and how long.

    starts: share of the usual length, number of kernels, seed of a random start (None: typical
    windows). iterations: of the two steps, on pieces. rounds: how many of the best trials see how
    many values of the signal, evenly spread. byte_cost: of kernels, on the scale of `pursuit.cost`.
    """

    starts: tuple[Start, ...]
    iterations: int
    rounds: tuple[tuple[int, int], ...]
    byte_cost: float


# Values that judge kernels. Fewer than MANY choose worse ones; MOST holds 48 minutes of
# one lead at 360 Hz. With MANY instead of MOST, 12 streams of MIT-BIH leads had 1.2 % more bytes.
# No round sees less than the pieces.
MANY, MOST = 1 << 18, 1 << 20
# Of a signal that is no longer than the pieces. More iterations cost time and change little.
# Without the last three starts, a stream of three minutes of ECG has 5 % more bytes.
SHORT_WAY = Way(
    (
        (1.0, 12, None),
        (1.0, 16, 0),
        (0.8, 8, None),
        (0.8, 16, 1),
        (0.8, 4, None),
        (1.0, 5, None),
        (0.6, 8, None),
    ),
    8,
    ((7, MANY),),
    24.0,
)
# Of a longer one of up to MANY values. It takes little time, so many starts are tried: with
# fewer, some of 27 streams of five-minute leads had more bytes than in version 0.4.0. With half of
# the trials in the later rounds, 60 streams had 0.5 % more bytes.
LENGTHS: tuple[Start, ...] = (
    (1.0, 16, None),
    (1.2, 16, None),
    (0.9, 16, None),
    (0.7, 16, None),
)
MIDDLE_WAY = Way(
    (*LENGTHS, *SHORT_WAY.starts),
    5,
    ((11, MANY), (8, MANY), (8, MANY), (5, MANY)),
    24.0,
)
# Of a longer one. Kernels that saw the pieces alone suit the pieces: an estimate from the pieces
# chose kernels that gave up to 12 % more bytes than those of another trial. No length and no kind
# of start suits all leads. These eleven were chosen by hand, on 15 leads of MIT-BIH.
LONG_WAY = Way(
    (
        (0.9, 16, 2),
        (0.9, 8, None),
        (0.9, 16, None),
        (1.0, 8, None),
        (1.2, 16, 3),
        (0.7, 16, None),
        (1.0, 12, None),
        (1.6, 16, None),
        (1.0, 16, 0),
        (0.8, 16, 1),
        (1.0, 3, None),
    ),
    3,
    ((11, MANY), (3, MOST), (2, MOST), (1, MOST)),
    60.0,
)
# Of several channels. Without the two last starts, both leads of MIT-BIH record 112 have 3.5 % more
# bytes at a PRDN of 5, and those of two others up to 1 %.
SEVERAL_WAY = LONG_WAY._replace(
    starts=(*LONG_WAY.starts, (0.8, 8, None), (0.6, 8, None)),
    rounds=((13, MANY), *LONG_WAY.rounds[1:]),
)
# Where events save less, as within a small bound: each trial would take a tenth of all time.
BRIEF_WAY = Way(
    ((1.0, 12, None), (1.0, 24, None), (0.9, 16, None), (0.8, 16, 1)),
    3,
    ((4, MANY), (2, MOST), (1, MOST)),
    30.0,
)
# Of several channels. Without the two last starts, both leads of MIT-BIH record 230 have 2 % more
# bytes within 2 steps.
BRIEF_SEVERAL_WAY = BRIEF_WAY._replace(
    starts=(*BRIEF_WAY.starts, (1.0, 16, 0), (0.9, 8, None)),
    rounds=((6, MANY), (3, MOST), (1, MOST)),
)
MOST_KERNELS = 24  # that a start has
# With time for everything: the starts of all ways, and those that leads of MIT-BIH were tried
# with besides.
THOROUGH_STARTS: tuple[Start, ...] = (
    *dict.fromkeys((*LONG_WAY.starts, *MIDDLE_WAY.starts)),
    (1.4, 16, None),
    (0.7, 16, 4),
    (1.6, 16, 5),
    (1.0, 16, 6),
    (0.8, 16, 7),
    (0.8, 3, None),
)
THOROUGH_ITERATIONS = 5
THOROUGH_ROUNDS = ((len(THOROUGH_STARTS), MANY), (8, MOST), (4, MOST), (4, MOST), (4, MOST))
# Of a short signal, whose kernels are many of its bytes: seldom more than one pays.
SHORT_TRIALS = ((1.0, 1, None), (0.8, 1, None), (1.0, 16, 0), (0.8, 16, 0))
ITERATIONS = 8
SHORT_PRECISIONS = (5, 6, 7)  # of its stored kernels, in turn: which is best, only coding tells


def way_of(values: int, channels: int, pieces: int, care: Care) -> Way:
    """How kernels of a signal of so many values, or of so many pieces of it, are tried."""
    if channels == 1:
        long = BRIEF_WAY if care == "brief" else LONG_WAY
    else:
        long = BRIEF_SEVERAL_WAY if care == "brief" else SEVERAL_WAY
    way = SHORT_WAY if pieces == 1 else MIDDLE_WAY if values <= MANY else long
    if care != "thorough":
        return way
    return Way(THOROUGH_STARTS, THOROUGH_ITERATIONS, THOROUGH_ROUNDS, way.byte_cost)
