"""The coder's memory: no two decisions use the same part of it, and each stays in its own."""

import itertools
import json
import subprocess
import sys

import pytest

from san.codec.entropy import logistic, mixing, range_coder
from san.codec.modes import decisions, experts, ranges

# For each kind of thing: how many there are, and (first, number) of each name that owns some.
ONE = 1
OWNERS = {
    "weight sets": (
        mixing.WEIGHT_SETS,
        {
            "near": (ranges.NEAR_SETS, ranges.NEARS * ranges.SETS_OF_ONE),
            "level": (ranges.LEVEL_SETS, ranges.LEVELS * ranges.SETS_OF_ONE),
            "bin": (ranges.BIN_SETS, ranges.FAR_SETS),
            "lag": (ranges.LAG_SETS, ranges.LAGS),
            "place": (ranges.PLACE_SETS, ranges.PLACE_BITS),
            "places": (ranges.PLACES_SET, ONE),
            "node": (ranges.NODE_SETS, ranges.NODES),
            "depth": (ranges.DEPTH_SETS, ranges.TREE_BITS),
            "amplitude": (ranges.AMPLITUDE_SETS, ranges.REST),
            "width": (ranges.WIDTH_SETS, ranges.WIDTHS),
            "block": (ranges.BLOCK_SETS, ranges.BLOCK_PASTS),
            "block level": (ranges.BLOCK_LEVEL_SETS, ranges.LEVELS),
        },
    ),
    "rows": (
        mixing.REFINEMENTS,
        {
            "zero": (ranges.ZERO_ROWS, ranges.STEPS),
            "sign": (ranges.SIGN_ROW, ONE),
            "larger": (ranges.LARGER_ROWS, ranges.LARGER_KINDS * ranges.STEPS),
            "rest": (ranges.REST_ROWS, ranges.STEPS),
            "bin": (ranges.BIN_ROW, ONE),
            "place": (ranges.PLACE_ROW, ONE),
            "kernel": (ranges.KERNEL_ROW, ONE),
            "amplitude zero": (ranges.AMPLITUDE_ZERO_ROW, ONE),
            "amplitude sign": (ranges.AMPLITUDE_SIGN_ROW, ONE),
            "amplitude larger": (ranges.AMPLITUDE_LARGER_ROWS, ranges.LARGER_KINDS),
            "block": (ranges.BLOCK_ROW, ONE),
        },
    ),
    "simple probabilities": (
        mixing.SIMPLE,
        {
            "rest lengths": (ranges.REST_LENGTHS, ranges.LEVELS * mixing.LENGTHS),
            "rest tops": (ranges.REST_TOPS, ranges.LEVELS * ranges.TOPS),
            "amplitude lengths": (ranges.AMPLITUDE_LENGTHS, ranges.AMPLITUDE_BITS),
            "bands": (ranges.BAND_BITS, ranges.LEVELS),
            "bounds": (ranges.BOUND_LENGTHS, mixing.LENGTHS),
            "component bands": (ranges.COMPONENT_BAND_BITS, ranges.COMPONENTS * ranges.LEVELS),
            "offsets": (ranges.OFFSET_LENGTHS, mixing.LENGTHS),
        },
    ),
    "contexts": (
        1 << (32 - ranges.OWN_BITS),
        {
            "coefficient": (0, ONE),
            "bin": (ranges.BIN_CONTEXTS, ranges.BIN_INPUTS),
            "place": (ranges.PLACE_CONTEXTS, ranges.PLACE_INPUTS),
            "kernel": (ranges.KERNEL_CONTEXTS, ranges.KERNEL_INPUTS),
            "amplitude": (ranges.AMPLITUDE_CONTEXTS, ranges.AMPLITUDE_INPUTS),
            "block": (ranges.BLOCK_CONTEXTS, ranges.BLOCK_INPUTS),
            "component block": (ranges.COMPONENT_CONTEXTS, ranges.COMPONENT_INPUTS),
        },
    ),
    "cells of a bucket": (
        mixing.BUCKET,
        {
            "zero": (ranges.ZERO, ONE),
            "sign": (ranges.SIGN, ONE),
            "larger": (ranges.LARGER + 1, ranges.LARGEST_MIXED),
            "rest": (ranges.REST, ranges.REST_BITS),
            "check": (mixing.CHECK, ONE),
        },
    ),
    "memory of the mixer": (
        mixing.MEMORY,
        {
            "range coder": (0, range_coder.STATE),
            "buckets": (mixing.BUCKETS_AT, mixing.INPUTS),
            "stretched": (mixing.STRETCHED_AT, mixing.INPUTS),
            "simple": (mixing.SIMPLE_AT, mixing.SIMPLE),
            "weights": (mixing.WEIGHTS_AT, mixing.WEIGHT_SETS * mixing.INPUTS),
            "refinement": (mixing.REFINEMENT_AT, mixing.REFINEMENTS * logistic.ROW),
        },
    ),
    "memory of the predictive mode": (
        decisions.ALL_MEMORY,
        {
            "range coder": (0, range_coder.STATE),
            **{
                name: (getattr(experts, name), ONE)
                for name in """STEP STEP_BITS SHIFT LOWEST HIGHEST LARGEST CENTRE BUCKET FINE
                    WEIGHTS REFINEMENT PREDICTION CORRECTION FILTER""".split()
            },
            "means": (experts.MEANS, experts.EXPERTS),
            "contexts": (decisions.CONTEXTS, decisions.INPUTS),
            "offsets": (decisions.OFFSETS, experts.EXPERTS),
            "cells": (decisions.CELLS, experts.EXPERTS),
            "refinement": (
                decisions.FIRST_ROW,
                decisions.LOUD_PAIRS * decisions.STAGES * logistic.ROW,
            ),
        },
    ),
    "weights of the predictive mode": (
        decisions.ALL_WEIGHTS,
        {
            "all": (0, decisions.LOUDS * decisions.KEPT * decisions.NODES * decisions.LANES),
        },
    ),
    "cells of a channel": (
        decisions.OF_CHANNEL,
        {
            "experts": (0, decisions.OF_EXPERTS),
            "speed": (decisions.BY_SPEED, decisions.SCALES**2 * decisions.NODES),
            "errors": (
                decisions.BY_ERRORS,
                decisions.LOUDS * decisions.ERRORS**2 * decisions.NODES,
            ),
            "neighbour": (
                decisions.BY_NEIGHBOUR,
                decisions.LOUD_PAIRS * decisions.ERRORS * decisions.EIGHTHS * decisions.NODES,
            ),
            "value": (decisions.BY_VALUE, decisions.VALUES * decisions.NODES),
        },
    ),
    "nodes": (
        decisions.NODES,
        {
            "zero": (decisions.ZERO, ONE),
            "sign": (decisions.SIGN, ONE),
            "magnitude": (decisions.UNARY, decisions.MAGNITUDES),
            "low bits": (decisions.LOW_BITS, 4),
        },
    ),
    "state of a channel": (
        experts.STATE,
        {
            "averages": (0, experts.AVERAGES * experts.EXPERTS),
            **{
                name: (getattr(experts, name), ONE)
                for name in ("ERROR", "ERROR_BEFORE", "USUAL", "RECENT", "ENERGY")
            },
        },
    ),
    "tables": (
        len(logistic.all_tables()),
        {
            "squash": (logistic.MIDDLE - logistic.STRETCH_LIMIT, 2 * logistic.STRETCH_LIMIT + 2),
            "stretch": (logistic.STRETCH, logistic.STRETCHES),
            "rates": (logistic.RATES, logistic.RATE_LIMIT + 1),
            "confidence": (mixing.CONFIDENCE, logistic.RATE_LIMIT + 1),
        },
    ),
}


def collisions(total, owners):
    """The pairs of names whose ranges overlap, and the names whose range leaves 0 ... total - 1."""
    spans = sorted((first, first + number, name) for name, (first, number) in owners.items())
    pairs = [(a[2], b[2]) for a, b in itertools.pairwise(spans) if a[1] > b[0]]
    return pairs + [(name,) for start, stop, name in spans if start < 0 or stop > total]


@pytest.mark.parametrize("kind", OWNERS)
def test_no_two_names_own_the_same(kind):
    assert collisions(*OWNERS[kind]) == []


def test_a_collision_is_found():
    total, owners = OWNERS["weight sets"]
    first, number = owners["lag"]
    assert collisions(total, owners | {"lag": (first, number + 1)}) == [("lag", "place")]
    assert collisions(total, owners | {"lag": (first - 1, number)}) == [("bin", "lag")]
    assert collisions(total - 9, owners) == [("block level",)]


# The loops as plain Python, with a record of what each decision uses.
RECORD = """
import json
import os
import sys
os.environ["SAN_LOOPS"] = "python"
import numpy as np
from san.codec.entropy import mixing
from san.codec.modes import across, bands, components, decisions, events, predictive, ranges
from san.codec.modes import transform
from san.codec.modes.dictionary import quantize
from san.codec.modes.events import QuantizedEvents

used = {}
KINDS = ("_code_value", "_code_rest", "_code_block", "_code_bin", "_code_place", "_code_kernel",
         "_code_difference", "_find_contexts", "_find_block_contexts", "code_bands",
         "code_corrections", "_code_offset")

def kind_of_caller():
    frame = sys._getframe(2)
    while frame.f_code.co_name not in KINDS:
        frame = frame.f_back
    return frame.f_globals["__name__"].rpartition(".")[2] + "_" + frame.f_code.co_name.lstrip("_")

def keep(what, value):
    used.setdefault(kind_of_caller_of_record + " " + what, set()).add(value)

def recorded(function, note):
    def record(*arguments):
        global kind_of_caller_of_record
        kind_of_caller_of_record = kind_of_caller()
        note(*arguments)
        return function(*arguments)
    return record

def decision(mixer, contexts, cell, first, second, row, bit):
    for what, value in zip(("cell", "first", "second", "row"), (cell, first, second, row)):
        keep(what, value)

def simple(mixer, place, bit):
    keep("simple", place)

def number(mixer, place, value):
    keep("simple", place)
    keep("simple", place + mixing.LENGTHS - 1)

def bucket(mixer, context, value):
    assert 0 <= value < 1 << 32 and 0 <= context < mixing.INPUTS
    keep("context", value >> ranges.OWN_BITS)

for module in (bands, events):
    module.code_decision = recorded(mixing.code_decision, decision)
    module.code_simple = recorded(mixing.code_simple, simple)
bands.find_bucket = recorded(mixing.find_bucket, bucket)
ranges.find_bucket = recorded(mixing.find_bucket, bucket)
transform.code_simple_bit = recorded(mixing.code_simple_bit, simple)
transform.code_number = recorded(mixing.code_number, number)
components.code_number = transform.code_number

rng = np.random.default_rng(0)
n, channels, many = 1100, 2, 60
dictionary = quantize(np.cumsum(rng.normal(size=(64, channels, 32)), 2))
x = np.rint(rng.normal(size=(n, channels)) * 10.0 ** rng.uniform(0, 9, (n, 1))).astype(np.int64)
x[400:800] = 0
x[600:610] += 3
starts = np.sort(rng.integers(0, n - 32, many))
amplitudes = rng.integers(-9, 10, (many, channels)) * 10 ** rng.integers(0, 6, (many, 1))
found = QuantizedEvents(starts, rng.integers(0, 64, many), amplitudes)
for bin_bits in (0, 8):
    plan = transform.Plan(transform.Setting((0, 900), bin_bits), found, (0, 200))
    payload, y, _ = transform.encode(x, plan, dictionary)
assert (np.abs(x - y).max(0) <= (0, 200)).all()

turns = rng.integers(0, 16, across.angles_of(5, 5))
layout = components.Layout((300,) * 5, 4, turns, (0, -3, 70, 10**6, -(10**8)))
q = np.rint(rng.normal(size=(200, 3)) * 10.0 ** rng.uniform(-2, 4, (200, 1))).astype(np.int64)
plan = components.Plan(layout, q, bounds=(0, 1, 2, 3, 9))
components.encode(components.reconstruct(plan) + rng.integers(-9, 9, (200, 5)), plan, None)

class Watched:
    # cells that know which of them were read

    def __init__(self, cells, first, read):
        self.cells, self.first, self.read = cells, first, read

    def __getitem__(self, place):
        if isinstance(place, slice):
            return Watched(self.cells, place.start, self.read)
        self.read.append(self.first + place)
        return self.cells[self.first + place]

    def __setitem__(self, place, cell):
        self.cells[self.first + place] = cell

places, rows, weights = [set() for _ in range(decisions.INPUTS)], set(), set()
of_refined, of_decision = decisions.code_refined, decisions.code_decision

def refined(mixer, row, mixed, bit):
    rows.add(row)
    return of_refined(mixer, row, mixed, bit)

def decided(mixer, kind, node, stage, bit):
    weights.add(mixer.m[decisions.WEIGHTS] + node * decisions.LANES)
    cells = Watched(mixer.cells, 0, [])
    bit = of_decision(mixer._replace(cells=cells), kind, node, stage, bit)
    for found, place in zip(places, cells.read, strict=True):
        found.add(place % decisions.OF_CHANNEL)
    return bit

decisions.code_refined, decisions.code_decision = refined, decided
for scale in (1, 30, 10**6):
    loud = np.rint(rng.normal(size=(150, 5)) * scale * rng.uniform(0, 9, (150, 1)))
    predictive.encode(loud.astype(np.int64), scale // 20)
used |= {f"input {a}": found for a, found in enumerate(places)}
used |= {"predictive rows": rows, "predictive weights": weights}
print(json.dumps({name: sorted(map(int, values)) for name, values in used.items()}))
"""

# What each kind of decision may use: names of OWNERS.
MAY_USE = {
    "bands_code_value first": ("weight sets", "near"),
    "bands_code_value second": ("weight sets", "level"),
    "bands_code_value row": ("rows", "zero", "sign", "larger"),
    "bands_code_value cell": ("cells of a bucket", "zero", "sign", "larger"),
    "bands_code_rest first": ("weight sets", "near"),
    "bands_code_rest second": ("weight sets", "level"),
    "bands_code_rest row": ("rows", "rest"),
    "bands_code_rest cell": ("cells of a bucket", "rest"),
    "bands_code_rest simple": ("simple probabilities", "rest lengths", "rest tops"),
    "bands_find_contexts context": ("contexts", "coefficient"),
    "bands_code_block first": ("weight sets", "block"),
    "bands_code_block second": ("weight sets", "block level"),
    "bands_code_block row": ("rows", "block"),
    "bands_code_block cell": ("cells of a bucket", "zero"),
    "bands_find_block_contexts context": ("contexts", "block", "component block"),
    "events_code_bin first": ("weight sets", "bin"),
    "events_code_bin second": ("weight sets", "lag"),
    "events_code_bin row": ("rows", "bin"),
    "events_code_bin cell": ("cells of a bucket", "zero"),
    "events_code_bin context": ("contexts", "bin"),
    "events_code_place first": ("weight sets", "place"),
    "events_code_place second": ("weight sets", "places"),
    "events_code_place row": ("rows", "place"),
    "events_code_place cell": ("cells of a bucket", "zero"),
    "events_code_place context": ("contexts", "place"),
    "events_code_kernel first": ("weight sets", "node"),
    "events_code_kernel second": ("weight sets", "depth"),
    "events_code_kernel row": ("rows", "kernel"),
    "events_code_kernel cell": ("cells of a bucket", "zero"),
    "events_code_kernel context": ("contexts", "kernel"),
    "events_code_difference first": ("weight sets", "amplitude"),
    "events_code_difference second": ("weight sets", "width"),
    "events_code_difference row": (
        "rows", "amplitude zero", "amplitude sign", "amplitude larger",
    ),
    "events_code_difference cell": ("cells of a bucket", "zero", "sign", "larger"),
    "events_code_difference context": ("contexts", "amplitude"),
    "events_code_rest simple": ("simple probabilities", "amplitude lengths"),
    "transform_code_bands simple": ("simple probabilities", "bands", "component bands"),
    "components_code_offset simple": ("simple probabilities", "offsets"),
    "transform_code_corrections simple": ("simple probabilities", "bounds"),
    "input 0": ("cells of a channel", "experts"),
    "input 1": ("cells of a channel", "experts"),
    "input 2": ("cells of a channel", "experts"),
    "input 3": ("cells of a channel", "speed"),
    "input 4": ("cells of a channel", "errors"),
    "input 5": ("cells of a channel", "neighbour"),
    "input 6": ("cells of a channel", "value"),
    "predictive rows": ("memory of the predictive mode", "refinement"),
    "predictive weights": ("weights of the predictive mode", "all"),
}  # fmt: skip


@pytest.fixture(scope="module")
def used():
    done = subprocess.run(
        [sys.executable, "-c", RECORD], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return {name: set(values) for name, values in json.loads(done.stdout).items()}


def test_every_kind_of_decision_is_recorded(used):
    assert used.keys() == MAY_USE.keys()


@pytest.mark.parametrize("decision", MAY_USE)
def test_a_decision_stays_in_what_it_owns(used, decision):
    kind, *names = MAY_USE[decision]
    spans = [OWNERS[kind][1][name] for name in names]
    owned = {i for first, number in spans for i in range(first, first + number)}
    assert used[decision] <= owned
    # each of its names is used: a range that nothing uses would hide a wrong one
    assert all(used[decision] & set(range(first, first + number)) for first, number in spans)
