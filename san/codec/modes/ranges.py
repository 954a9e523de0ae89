"""Which part of the mixer's memory each decision of the transform mode uses.

The mixer has numbered weight sets, rows and simple probabilities. A range of each belongs to one
kind of decision. A name stands for the first number of its range, and the comment tells how many
there are. All of these numbers are part of the format; FORMAT.md states them too.
"""

from san.codec.entropy.loops import integer_step
from san.codec.entropy.mixing import find_bucket

LEVELS = 16  # numbers that a band may have
CORRECTIONS = 15  # the number of the band of corrections
STEPS = 32  # steps of the scale on which magnitudes choose a row
NEARS = 8  # sizes of what is near a coefficient
BLOCK_PASTS = 8  # pasts of a block: whether each of the three before it was zero
MAX_KERNELS, TREE_BITS = 64, 6  # kernels of a dictionary; decisions that tell one of them
LAGS = 41  # distances of a bin from where the rhythm expects the next event
FAR_SETS = 8  # numbers of a bin, the last stands for all others
NODES = 8  # of the tree of kernels that have weights of their own, the last stands for all others
PLACE_BITS = 4  # of a place in its bin that are mixed; the others are raw
WIDTHS = 16  # sizes of the recent differences of an amplitude
LARGEST_MIXED = 9  # "is the magnitude larger than k" is mixed for k = 1 ... 9
LARGER_KINDS = 4  # rows of that question: k = 1, 2, 3, and more
REST_BITS = 4  # decisions about the length of the rest that are mixed; the rest is what is beyond 9

# Cells of a bucket, for the decisions about one number: whether it is zero, its sign, whether it is
# larger than k (LARGER + k), and the length of the rest (REST + 0 ... 3).
ZERO, SIGN, LARGER = 0, 1, 1
REST = LARGER + LARGEST_MIXED + 1

# Weight sets. A set of a coefficient is the first of its sixteen plus the cell.
SETS_OF_ONE = 16
NEAR_SETS = 0  # NEARS * SETS_OF_ONE
LEVEL_SETS = 128  # LEVELS * SETS_OF_ONE
BIN_SETS = 384  # FAR_SETS
LAG_SETS = 392  # LAGS
PLACE_SETS = 433  # PLACE_BITS
PLACES_SET = 437  # 1
NODE_SETS = 438  # NODES
DEPTH_SETS = 446  # TREE_BITS
AMPLITUDE_SETS = 452  # REST: plus the cell
WIDTH_SETS = 464  # WIDTHS
BLOCK_SETS = 480  # BLOCK_PASTS
BLOCK_LEVEL_SETS = 488  # LEVELS

# Rows of the refinement.
ZERO_ROWS = 0  # STEPS
SIGN_ROW = 32  # 1
LARGER_ROWS = 64  # LARGER_KINDS * STEPS
REST_ROWS = 192  # STEPS
BIN_ROW, PLACE_ROW, KERNEL_ROW = 224, 225, 226  # 1 each
AMPLITUDE_ZERO_ROW, AMPLITUDE_SIGN_ROW = 227, 228  # 1 each
AMPLITUDE_LARGER_ROWS = 230  # LARGER_KINDS
BLOCK_ROW = 250  # 1

# Simple probabilities.
REST_LENGTHS = 0  # LEVELS * mixing.LENGTHS
REST_TOPS = 256  # LEVELS * TOPS: the highest bit of a short rest
TOPS = 8  # lengths of a rest, of which 1 ... 6 are short
AMPLITUDE_LENGTHS = 512  # AMPLITUDE_BITS
AMPLITUDE_BITS = 32
COMPONENT_BAND_BITS = 544  # COMPONENTS * LEVELS: as BAND_BITS, of each component across channels
COMPONENTS = 16  # that have their own, the last stands for all others
BAND_BITS = 800  # LEVELS: whether a band has a coefficient that is not zero
BOUND_LENGTHS = 900  # mixing.LENGTHS: a bound of corrections
OFFSET_LENGTHS = 916  # mixing.LENGTHS: an offset of a channel

# Contexts. Each has a number of its own, which is the high bits of its values: values of two kinds
# never agree. All contexts of a coefficient have the number 0.
OWN_BITS = 27  # of a value, below its number
BIN_CONTEXTS, BIN_INPUTS = 1, 7  # the first number, and how many there are
PLACE_CONTEXTS, PLACE_INPUTS = 8, 3
KERNEL_CONTEXTS, KERNEL_INPUTS = 11, 5
AMPLITUDE_CONTEXTS, AMPLITUDE_INPUTS = 16, 5
BLOCK_CONTEXTS, BLOCK_INPUTS = 21, 5
COMPONENT_CONTEXTS, COMPONENT_INPUTS = 26, 4  # of a block of a component, after those of any block


@integer_step
def find_own(mixer, first, context, value):
    """Find the bucket of a context whose own number is first + context."""
    find_bucket(mixer, context, ((first + context) << OWN_BITS) + value)
