"""A SAN in scikit-learn: its contract, what it learns, and pipelines that find classes with it."""

import pickle
import subprocess
import sys

import joblib
import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from san import datasets
from san.sklearn import FEATURES, RESIDUAL, SANTransformer

QUICK = {"kernel_size": 30, "epochs": 2, "random_state": 0}


@parametrize_with_checks(
    [
        SANTransformer(epochs=2),
        SANTransformer(epochs=2, output="events"),
        SANTransformer("relu", epochs=2, validation_fraction=0, init="normal"),
        SANTransformer(kernel_size=(3, 5), epochs=1, passes=2, refit=True, compete=True),
    ]
)
def test_it_keeps_the_contract_of_scikit_learn(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def windows():
    """Standardised windows of 2 s of the bundled electrocardiogram, float64."""
    recording = datasets.load_recording()
    x = recording.x[:, 0].reshape(-1, 720)
    return (x - x.mean(1, keepdims=True)) / x.std(1, keepdims=True)


@pytest.mark.parametrize("activation", ["extrema", "extrema_pool", "top_k_absolutes", "relu"])
def test_activations_are_those_of_the_model_and_draw_its_reconstruction(activation, windows):
    san = SANTransformer(activation, **QUICK).fit(windows)
    activations = san.transform(windows)
    assert activations.shape == (len(windows), 2 * 720) and activations.dtype == np.float64
    output = san._model()(torch.from_numpy(windows.astype(np.float32))[:, None])
    np.testing.assert_array_equal(activations, output.activations.flatten(1).detach().numpy())
    np.testing.assert_allclose(
        san.inverse_transform(activations), output.x_hat[:, 0].detach().numpy(), atol=1e-5
    )
    assert (np.count_nonzero(activations) < activations.size / 10) == (activation != "relu")


def test_more_training_draws_better(windows):
    def error(epochs):
        san = SANTransformer(kernel_size=180, epochs=epochs, init="normal", random_state=0)
        x_hat = san.fit(windows[::2]).inverse_transform(san.transform(windows[1::2]))
        return np.abs(x_hat - windows[1::2]).mean()

    assert error(20) < 0.8 * error(1)


def test_what_is_fitted(windows):
    san = SANTransformer(kernel_size=(20, 180), epochs=3, random_state=0).fit(windows)
    assert san.kernel_size_ in (20, 180) and san.kernels_.shape == (2, 1, san.kernel_size_)
    assert san.sparsity_ == san.kernel_size_ - 2
    of_size = [row for row in san.history_ if row.kernel_size == san.kernel_size_]
    assert san.phi_ == min(row.phi for row in san.history_) == of_size[san.epoch_ - 1].phi
    assert san.n_features_in_ == 720


def test_features_of_events_by_a_plain_loop(windows):
    san = SANTransformer(kernels=3, **QUICK).fit(windows)
    activations = san.transform(windows).reshape(-1, 3, 720)
    error = np.abs(san.inverse_transform(san.transform(windows)) - windows).mean(1)
    san.set_params(output="events")
    features = san.transform(windows)
    names = [f"kernel{k}_{feature}" for k in range(3) for feature in FEATURES]
    assert list(san.get_feature_names_out()) == [*names, RESIDUAL]
    for row, maps, residual in zip(features, activations, error, strict=True):
        expected = []
        for alpha in maps:
            of_events = np.abs(alpha[alpha != 0])
            if len(of_events):
                summary = [of_events.sum(), of_events.mean(), of_events.max()]
            else:
                summary = [0.0, 0.0, 0.0]
            expected += [len(of_events), *summary]
        np.testing.assert_allclose(row, [*expected, residual], rtol=1e-5)


def test_a_window_of_zeros_has_no_events(windows):
    san = SANTransformer(output="events", **QUICK).fit(windows)
    assert not san.transform(np.zeros((1, 720))).any()


def test_float32_stays_float32_and_its_memory_may_be_read_only(windows):
    x = windows.astype(np.float32)
    x.flags.writeable = False
    san = SANTransformer(**QUICK).fit(x)
    activations = san.transform(x)
    assert activations.dtype == san.inverse_transform(activations).dtype == np.float32
    np.testing.assert_array_equal(activations, SANTransformer(**QUICK).fit_transform(windows))


def test_one_seed_one_result_another_seed_another(windows):
    kernels = [
        SANTransformer(**{**QUICK, "random_state": seed}).fit(windows).kernels_
        for seed in (1, 1, 2, np.random.RandomState(1))
    ]
    assert np.array_equal(kernels[0], kernels[1]) and np.array_equal(kernels[0], kernels[3])
    assert not np.array_equal(kernels[0], kernels[2])


def test_copies_do_the_same(windows, tmp_path):
    san = SANTransformer(**QUICK).fit(windows)
    activations = san.transform(windows)
    joblib.dump(san, tmp_path / "san.joblib")
    for copy in (pickle.loads(pickle.dumps(san)), joblib.load(tmp_path / "san.joblib")):
        np.testing.assert_array_equal(copy.transform(windows), activations)
    fresh = clone(san)
    assert not hasattr(fresh, "kernels_") and fresh.get_params() == san.get_params()
    np.testing.assert_array_equal(fresh.fit_transform(windows), activations)


def test_two_channels(windows):
    x = np.concatenate([windows, 0.5 * windows[:, ::-1]], axis=1)
    san = SANTransformer(channels=2, **QUICK).fit(x)
    assert san.kernels_.shape == (2, 2, 30)
    activations = san.transform(x)
    assert activations.shape == (len(x), 2 * 720)
    assert san.inverse_transform(activations).shape == x.shape


@pytest.mark.parametrize(
    "parameters, words",
    [
        ({"activation": "sigmoid"}, "activation: .*got 'sigmoid'"),
        ({"kernels": 0}, "kernels: .*got 0"),
        ({"kernel_size": 0}, "kernel_sizes: .*got 0"),
        ({"kernel_size": "wide"}, "kernel_size must be a number, got 'wide'"),
        ({"epochs": 0}, "epochs: .*got 0"),
        ({"validation_fraction": 1.0}, r"validation_fraction must be .*got 1\.0"),
        ({"channels": 7}, "channels must divide the 720 columns of X, got 7"),
        ({"output": "kernels"}, "output must be one of activations, events, got 'kernels'"),
        ({"passes": 2, "activation": "relu"}, "several passes and compete need extrema"),
        ({"device": "cuda:99"}, "device 'cuda:99' is not there"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_wrong_parameters_are_named_in_one_line(parameters, words, windows):
    with pytest.raises(ValueError, match=words) as caught:
        SANTransformer(**parameters).fit(windows)
    assert "\n" not in str(caught.value)


def test_what_cannot_be_drawn(windows):
    san = SANTransformer(**QUICK).fit(windows)
    with pytest.raises(ValueError, match=r"must have 1440 columns, 2 kernels .* got 5"):
        san.inverse_transform(np.zeros((2, 5)))
    san.set_params(output="events")
    with pytest.raises(ValueError, match='cannot be drawn from output="events"'):
        san.inverse_transform(san.transform(windows))


def test_without_scikit_learn_the_import_says_what_to_install():
    code = "import sys; sys.modules['sklearn'] = None\nimport san.sklearn"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.stderr.splitlines()[-1] == (
        "ImportError: san.sklearn needs scikit-learn and torch: "
        "pip install 'sparsely-activated-networks[sklearn]'"
    )
    assert "another exception" not in run.stderr


def outlines(x):
    """What is known of windows without looking at the shapes in them."""
    return np.stack([x.mean(1), x.std(1), x.min(1), x.max(1)], axis=1)


def test_a_pipeline_tells_which_way_time_goes(windows):
    """A window and the same window backwards have the same outlines, but not the same shapes."""
    backwards = np.arange(len(windows)) % 2
    x = np.where(backwards[:, None] == 1, windows[:, ::-1], windows)
    train, test = slice(0, 100), slice(100, 150)
    pipeline = make_pipeline(
        SANTransformer(output="events", kernels=8, epochs=5, random_state=0),
        StandardScaler(),
        LogisticRegression(),
    )
    sizes = {"santransformer__kernel_size": np.array([60, 150])}
    search = GridSearchCV(pipeline, sizes, cv=3).fit(x[train], backwards[train])
    trivial = make_pipeline(StandardScaler(), LogisticRegression())
    trivial.fit(outlines(x[train]), backwards[train])
    assert search.score(x[test], backwards[test]) >= 0.8
    assert trivial.score(outlines(x[test]), backwards[test]) <= 0.65


def test_a_pipeline_tells_seizures(recordings):
    """Three classes of EEG; no recording is in two splits."""
    splits = datasets.load_splits("uci-epilepsy", data_dir=recordings)
    x, y = splits.train.x[::4, 0], splits.train.y[::4]
    x_test, y_test = splits.test.x[:, 0], splits.test.y
    forest = RandomForestClassifier(n_estimators=50, random_state=0)
    san = SANTransformer(output="events", kernels=4, epochs=3, random_state=0)
    sizes = {"santransformer__kernel_size": [8, 15]}
    search = GridSearchCV(make_pipeline(san, forest), sizes, cv=2).fit(x, y)
    accuracy = search.score(x_test, y_test)
    assert accuracy > np.bincount(y_test).max() / len(y_test) + 0.3
    assert accuracy > clone(forest).fit(outlines(x), y).score(outlines(x_test), y_test) + 0.1
