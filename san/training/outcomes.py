"""What a run came to: scores beside the published ones, as JSON, as CSV and as figures."""

import csv
import io
import json
from dataclasses import dataclass

import torch
from matplotlib.figure import Figure

from san import datasets, report
from san.training.scores import Result, Row
from san.training.settings import Settings

MOST_CHANNELS = 3  # that figures are drawn of; the page of `san report` shows more


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


def figures_of(outcome: Outcome) -> dict[str, bytes]:
    """Draw what the chosen model makes of the first test signal, and how it was chosen.

    Returns
    -------
    dict of str to bytes
        PNG files by name, without the ending.
    """
    test, result, published = outcome.test, outcome.result, outcome.published
    x = torch.from_numpy(test.x[:1]).to(result.model.kernels[0].device)
    with torch.no_grad():
        output = result.model(x)
    similarities = output.similarities[0].cpu().numpy()
    activations = output.activations[0].cpu().numpy()
    fs, scale = test.fs, test.scale
    title = f"{test.name}, {outcome.settings.activation}, first test signal"
    figures = {
        "similarity": report.plot_similarities(similarities, fs),
        "activations": report.plot_activations(activations, fs),
    }
    for c in range(min(len(x[0]), MOST_CHANNELS)):  # the events are common to all channels
        signal, x_hat = test.x[0, c], output.x_hat[0, c].cpu().numpy()
        kernels = [w[c].detach().cpu().numpy() for w in result.model.kernels]
        of_channel, suffix = title, ""
        if len(x[0]) > 1:
            of_channel += f", {test.names[c] if c < len(test.names) else f'channel {c}'}"
            suffix = f"_{c}" if c else ""
        figures |= {
            f"signal{suffix}": report.plot_signal(signal, fs, scale),
            f"kernel{suffix}": report.plot_kernels(kernels, fs),
            f"reconstruction{suffix}": report.plot_reconstruction(signal, x_hat, fs, scale),
            f"overview{suffix}": report.plot_overview(
                signal, kernels, similarities, activations, x_hat, fs, scale, of_channel
            ),
        }
    history = [row for row in outcome.history if row.kernel_size == result.kernel_size]
    epochs, phi = [row.epoch for row in history], [row.phi for row in history]
    figures["history"] = report.plot_history(epochs, phi, result.kernel_size)
    if len(result.validation_phi) > 1:
        best = min(published, key=lambda row: row["phi"]) if published else None
        figures["sweep"] = report.plot_sweep(result.validation_phi, result.kernel_size, best)
    return {name: _png(figure) for name, figure in figures.items()}


def _png(figure: Figure) -> bytes:
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=120)
    return content.getvalue()
