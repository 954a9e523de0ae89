"""What a run came to: scores beside the published ones, as JSON and as CSV."""

import csv
import io
import json
from dataclasses import dataclass

from san import datasets
from san.training.scores import Result, Row
from san.training.settings import Settings


@dataclass(frozen=True)
class Outcome:
    """A finished run: its test data, its settings, its result, and the published results."""

    test: datasets.Dataset
    settings: Settings
    history: list[Row]
    result: Result
    scores: dict[str, float]  #: the chosen kernel size, and means of its scores on the test split
    published: list[dict[str, float]]  #: results for the same data and activation, if there are any

    @property
    def mixed_sizes(self) -> list[int] | None:
        """The size of each kernel of the chosen model, where one model has several sizes."""
        sizes = self.result.model.kernel_sizes
        return [m[0] for m in sizes] if self.settings.together else None


def outcome_of(
    test: datasets.Dataset, settings: Settings, history: list[Row], result: Result
) -> Outcome:
    """Compute the scores of a finished run, and look up the published results."""
    means = {name: float(values.mean()) for name, values in result.scores._asdict().items()}
    published = datasets.published_results(test.name, settings.activation)
    scores = {"kernel_size": result.kernel_size, **means}
    return Outcome(test, settings, history, result, scores, list(published))


def history_text(history: list[Row]) -> str:
    """Write a history as CSV: a line of names, then a line per epoch and kernel size."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(Row._fields)
    writer.writerows(history)
    return text.getvalue()


def metrics_text(outcome: Outcome) -> str:
    """Write scores on the test split, and the validation φ of every kernel size, as JSON."""
    result = outcome.result
    content = {
        "dataset": outcome.test.name,
        "activation": outcome.settings.activation,
        "protocol": outcome.settings.protocol,
        "epoch": result.epoch,
        "test": outcome.scores,
        "test_per_signal": {k: v.tolist() for k, v in result.scores._asdict().items()},
        "test_phi": result.test_phi,
        "validation_phi": result.validation_phi,
        "published": outcome.published,
    }
    if outcome.mixed_sizes:
        content["kernel_sizes"] = outcome.mixed_sizes
    return json.dumps(content, indent=2) + "\n"
