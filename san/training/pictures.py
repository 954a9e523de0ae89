"""The figures of a run: what its model makes of a signal, and how the model was chosen."""

import io

import torch
from matplotlib.figure import Figure

from san import report
from san.training.outcomes import Outcome

MOST_CHANNELS = 3  # that figures are drawn of; the page of `san report` shows more


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
