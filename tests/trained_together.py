"""What the processes of test_distributed run: trainings of several kinds, and what goes wrong.

At last they run the command that follows the folder, as `torchrun -m san` does.
"""

import os
import pathlib
import sys

import numpy as np

from san import cli, datasets
from san.training import distributed, processes
from san.training.settings import Settings
from san.training.train import Training

# Six signals in batches of five: one process has nothing of the last batch.
CASES = {
    "sweep": Settings(kernel_sizes=(40, 60), kernels=2, batch_size=5, epochs=4),
    "published": Settings(
        activation="top_k_absolutes", kernel_sizes=(60,), decoder="paper", protocol="published",
        init="normal", batch_size=3, epochs=3,
    ),
    "pursuit": Settings(
        kernel_sizes=(90,), kernels=2, passes=2, refit=True, compete=True, batch_size=4, epochs=2
    ),
    "grow": Settings(kernel_sizes=(60,), kernels=2, grow=True, anneal=2.0, batch_size=5, epochs=4),
}  # fmt: skip


def trained(settings):
    """The history, the test φ of each kernel size, and all weights."""
    splits = datasets.load_splits("physionet")
    training = Training(settings, splits.train.x, splits.validation.x)
    while training.epoch < settings.epochs:
        training.run_epoch()
    result = training.choose(splits.test.x)
    kernels = np.stack([w.detach().numpy() for w in result.model.kernels])
    phi = np.array(list(result.test_phi.values()))
    return {"history": np.array(training.history), "kernels": kernels, "phi": phi}


def message_of(call):
    try:
        call()
    except (ValueError, OSError) as error:
        return f"{type(error).__name__}: {error}"
    return "nothing was raised"


def fail_in(rank):
    if os.environ["RANK"] == str(rank):
        raise FileNotFoundError(f"process {rank} has no file")
    return rank


def divergence():
    settings = Settings(kernel_sizes=(60,), learning_rate=1e30, batch_size=2, epochs=2)
    trained(settings)


def main(folder):
    rank = os.environ["RANK"]
    with processes.joined():
        for name, settings in CASES.items():
            np.savez(folder / f"{name}-{rank}.npz", **trained(settings))
        calls = {
            "divergence": divergence,
            "first fails": lambda: processes.from_first(lambda: fail_in(0)),
            "other fails": lambda: processes.by_all(lambda: fail_in(1)),
            "not same": lambda: processes.check_same("data", rank),
            "device": lambda: distributed.take_device("cuda:1"),
        }
        lines = [f"{name}: {message_of(call)}" for name, call in calls.items()]
        lines.append(f"first says {processes.from_first(lambda: rank)}")
    (folder / f"messages-{rank}").write_text("\n".join(lines))


if __name__ == "__main__":
    main(pathlib.Path(sys.argv.pop(1)))
    cli.main()
