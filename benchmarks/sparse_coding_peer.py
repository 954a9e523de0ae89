"""Learn kernels and encode windows with alphacsc or SPORCO, for benchmarks/sparse_coding.py.

    PYTHON benchmarks/sparse_coding_peer.py

It runs in an environment of its own, because alphacsc 0.4.1 needs NumPy below 2, and imports
nothing of SAN. Standard input has a task in JSON on each line, and standard output an answer in
JSON. Windows come in an NPZ file and codes go into another one.

A task has `peer`, `windows` (a file with train, validation and test, each (windows, samples)),
`start` (the kernels before learning, (kernels, samples)), `learn` (regularisation), `encode`
(several regularisations) and `output`. A regularisation is a share of the smallest one that leaves
all coefficients of the training windows zero. The answer has seconds of the processor. The output
has `kernels` as they were learned, and for each split and regularisation a table with a row for
each event: window, kernel, first sample, amplitude. Windows are continued with zeros by half a
kernel, so that the middle of a kernel may lie at every sample, as it may with SAN.
"""

import contextlib
import importlib.metadata
import json
import os
import sys
import time
import warnings

import numpy as np
import sporco.fft
from alphacsc import BatchCDL
from alphacsc.update_z_multi import update_z_multi
from sporco.admm import cbpdn
from sporco.dictlrn import cbpdndl

SPLITS = ("validation", "test")
LEARN_ITERATIONS = {"alphacsc": 20, "sporco": 200}
ENCODE_ITERATIONS = 300  # of SPORCO; alphacsc stops where its default tolerance says so


class Alphacsc:
    """Locally greedy coordinate descent; amplitudes are not negative."""

    def learn(self, x, start, share):
        model = BatchCDL(
            n_atoms=start.shape[0],
            n_times_atom=start.shape[1],
            reg=share,
            lmbd_max="scaled",
            n_iter=LEARN_ITERATIONS["alphacsc"],
            rank1=False,
            D_init=start[:, None],
            random_state=0,
            verbose=0,
        )
        return model.fit(x[:, None]).D_hat_[:, 0]

    def encode(self, x, kernels, weight):
        """Coefficients of each kernel at each of its first samples, (windows, kernels, places)."""
        return update_z_multi(x[:, None], kernels[:, None], reg=weight, solver="lgcd")[0]


class Sporco:
    """The alternating direction method of multipliers; amplitudes have either sign."""

    def learn(self, x, start, share):
        options = cbpdndl.ConvBPDNDictLearn.Options(
            {"Verbose": False, "MaxMainIter": LEARN_ITERATIONS["sporco"], "CCMOD": {"rho": 10.0}},
            dmethod="cns",  # the default, "pgm", makes the objective larger on these windows
        )
        weight = share * largest(x, start)
        learner = cbpdndl.ConvBPDNDictLearn(
            start.T, x.T, weight, options, dmethod="cns", dimK=1, dimN=1
        )
        learner.solve()
        return learner.getdict().reshape(start.T.shape).T

    def encode(self, x, kernels, weight):
        options = cbpdn.ConvBPDN.Options(
            {
                "Verbose": False,
                "MaxMainIter": ENCODE_ITERATIONS,
                "RelStopTol": 1e-3,
                "NoBndryCross": True,
            }
        )
        solver = cbpdn.ConvBPDN(kernels.T, x.T, weight, options, dimK=1, dimN=1)
        solver.solve()
        found = solver.Y.reshape(x.shape[1], len(x), len(kernels)).transpose(1, 2, 0)
        return found[..., : x.shape[1] - kernels.shape[1] + 1]


PEERS = {"alphacsc": Alphacsc(), "sporco": Sporco()}


def largest(x, kernels):
    """The largest correlation of a kernel with a window: with more weight, nothing is coded."""
    return max(np.abs(np.correlate(one, kernel)).max() for one in x for kernel in kernels)


def answer(task):
    peer = PEERS[task["peer"]]
    start = np.array(task["start"])
    before, after = (start.shape[1] - 1) // 2, start.shape[1] // 2
    with np.load(task["windows"]) as file:
        windows = {name: np.pad(file[name], ((0, 0), (before, after))) for name in file.files}
    begin = time.process_time()
    kernels = peer.learn(windows["train"], start, task["learn"])
    told = {"learn_cpu_seconds": time.process_time() - begin, "encode_cpu_seconds": {}}
    unit = largest(windows["train"], kernels)
    kept = {"kernels": kernels}
    for share in task["encode"]:
        for split in SPLITS:
            begin = time.process_time()
            z = peer.encode(windows[split], kernels, share * unit)
            seconds = time.process_time() - begin
            where = np.nonzero(z)
            kept[f"{split}-{share}"] = np.column_stack((*where[:2], where[2] - before, z[where]))
            if split == "test":
                told["encode_cpu_seconds"][str(share)] = seconds / len(z)
    np.savez(task["output"], **kept)
    return told


def main() -> None:
    warnings.simplefilter("ignore")  # of the peers
    sporco.fft.pyfftw_threads = 1  # else the threads that wait count as time of the processor
    sporco.fft.pyfftw_planner_effort = "FFTW_ESTIMATE"  # else the first call of a size plans long
    answers = sys.stdout
    versions = {name: importlib.metadata.version(name) for name in (*PEERS, "numpy", "scipy")}
    small = np.random.default_rng(0).standard_normal((2, 64))
    for peer in PEERS.values():  # so that compiling is not timed
        peer.encode(small, peer.learn(small, small[:1, :8], 0.3), 1.0)
    print(json.dumps(versions), file=answers, flush=True)
    for line in sys.stdin:
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
            told = answer(json.loads(line))
        print(json.dumps(told), file=answers, flush=True)


if __name__ == "__main__":
    main()
