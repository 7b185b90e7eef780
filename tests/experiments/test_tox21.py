"""Tox21: the repairs of the table, descriptors that know the training compounds only, and the masked loss."""

from __future__ import annotations

import gzip

import numpy as np
import pytest
import torch

pytest.importorskip("rdkit")
pytest.importorskip("sklearn")

from experiments.data.tox21 import ASSAYS, FILE, read_tox21
from experiments.descriptors import features
from experiments.experiment import Context
from experiments.failure import ExperimentError
from experiments.tox21 import SETTINGS, Dropout, areas, masked_loss, network_of

# set, fold, key, SMILES, and the first two assays
ROWS = [
    ("training", "1", "A", "CCO", "1", ""),
    ("training", "", "A", "CCO", "1", "0"),
    ("training", "", "A", "OCC", "0", "1"),  # outvoted in the first assay, a tie in the second
    ("training", "2", "B", "c1ccccc1", "", "1"),
    ("validation", "", "C", "CCN", "0", "0"),
    ("training", "3", "D", "CCCC", "1", "1"),  # is in the test set, too
    ("training", "", "E", "not a molecule", "1", "1"),
    ("test", "", "D", "CCCC", "0", "1"),
    ("test", "", "F", "CC(=O)O", "1", ""),
    ("test", "", "F", "CC(=O)O", "", "0"),  # the test set keeps its rows
]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "tox21").mkdir()
    head = ",".join(("id", "set", "cvfold", "inchikey", "smiles", *ASSAYS))
    body = [",".join(("x", *row, *[""] * (len(ASSAYS) - 2))) for row in ROWS]
    (tmp_path / "tox21" / FILE).write_bytes(gzip.compress("\n".join([head, *body, ""]).encode()))
    return tmp_path


def test_compounds_are_merged_and_those_of_the_test_set_left_out(folder):
    data = read_tox21(folder / "tox21")
    assert data.train.smiles == ("CCO", "c1ccccc1", "CCN")
    assert data.train.folds.tolist() == [1, 2, 0]
    assert data.train.rows.tolist() == [0, 3, 4]
    nan = float("nan")
    np.testing.assert_array_equal(data.train.labels[:, :2], [[1, nan], [nan, 1], [0, 0]])
    assert np.isnan(data.train.labels[:, 2:]).all()
    np.testing.assert_array_equal(data.test.labels[:, :2], [[0, 1], [1, nan], [nan, 0]])
    assert dict(data.notes) == {
        "rows": 10,
        "rows that do not parse": 1,
        "compounds in training and test, left out of training": 1,
        "their rows": 1,
        "rows merged into others of their compound": 2,
        "labels without a majority, taken as unknown": 1,
        "training compounds": 3,
        "test rows": 3,
    }


def test_the_real_table_is_repaired(shared_data):
    data = read_tox21(shared_data / "tox21")
    assert data.notes["compounds in training and test, left out of training"] == 9  # 7 of training, 2 of validation
    assert data.notes["rows that do not parse"] == 3
    assert len(data.train.smiles) == data.notes["training compounds"] == 8328
    assert data.test.labels.shape == (647, 12)


@pytest.mark.parametrize("kind", ["physical", "morgan", "both"])
def test_descriptors_are_chosen_and_scaled_on_training_compounds(folder, kind):
    data = read_tox21(folder / "tox21")
    context = Context(folder, folder / "cache")
    train, test = features(kind, context, data.train, data.test)
    assert train.shape[1] == test.shape[1] <= 512
    np.testing.assert_allclose(train.mean(axis=0), 0.0, atol=1e-5)
    np.testing.assert_allclose(train.std(axis=0), 1.0, atol=1e-4)  # so none is constant in training
    assert np.abs(test).max() <= 5.0
    # Other test compounds change nothing in training; and the cache gives the same.
    again, part = features(kind, context, data.train, data.test.picked(np.array([1])))
    np.testing.assert_array_equal(again, train)
    np.testing.assert_array_equal(part, test[1:2])


def test_cddd_rows_are_those_of_the_csv(folder):
    data = read_tox21(folder / "tox21")
    table = np.random.default_rng(0).normal(size=(len(ROWS), 512))
    np.save(folder / "cddd.npy", table)
    context = Context(folder, folder / "cache", options={"cddd": str(folder / "cddd.npy")})
    train, test = features("cddd", context, data.train, data.test)
    reference = table[data.train.rows]
    expected = (table[data.test.rows] - reference.mean(0)) / reference.std(0)
    np.testing.assert_allclose(test, expected.clip(-5, 5), rtol=1e-4, atol=1e-5)
    assert train.shape == (3, 512)
    np.save(folder / "cddd.npy", table[:4])
    with pytest.raises(ExperimentError, match=r"\[10, 512\] was expected"):
        features("cddd", context, data.train, data.test)
    with pytest.raises(ExperimentError, match="--cddd FILE"):
        features("cddd", Context(folder, folder / "cache"), data.train, data.test)


def test_a_missing_table_is_named_with_its_columns(tmp_path):
    with pytest.raises(ExperimentError, match=f"no {FILE}: .*inchikey, smiles"):
        read_tox21(tmp_path)


def test_unknown_labels_have_no_part_in_the_loss():
    nan = float("nan")
    logits = torch.tensor([[0.0, 3.0], [2.0, -1.0]], requires_grad=True)
    labels = torch.tensor([[1.0, nan], [nan, 0.0]])
    loss = masked_loss(logits, labels)
    known = torch.nn.functional.binary_cross_entropy_with_logits(torch.tensor([0.0, -1.0]), torch.tensor([1.0, 0.0]))
    torch.testing.assert_close(loss, known)
    loss.backward()
    assert logits.grad[0, 1] == logits.grad[1, 0] == 0.0
    assert float(masked_loss(logits.detach(), torch.full_like(labels, nan))) == 0.0


def test_areas_are_over_known_labels():
    nan = np.float32("nan")
    network = torch.nn.Linear(2, 2, bias=False)
    network.weight.data = torch.eye(2)
    inputs = np.array([[0.1, 1.0], [0.4, 2.0], [0.35, 3.0], [0.8, 4.0]], np.float32)
    labels = np.array([[0, 1], [0, 1], [1, nan], [1, nan]], np.float32)
    assert areas(network, inputs, labels) == [0.75, None]  # three of four pairs in order; one class only


def test_dropout_drops_its_share_and_keeps_the_mean():
    torch.manual_seed(0)
    dropout = Dropout(0.7, np.random.default_rng(0))
    found = dropout(torch.ones(1000, 100))
    # A share of 100,000 draws has a standard deviation of at most 0.0016; five of them.
    assert float((found == 0).double().mean()) == pytest.approx(0.7, abs=0.008)
    assert float(found.max()) == pytest.approx(1 / 0.3, rel=1e-5)
    assert dropout.eval()(found) is found


def test_the_network_in_evaluation_is_the_icnn_inside():
    for method in ("ICNN + init", "ICNN + skip"):
        network = network_of({"method": method, "seed": 3, **SETTINGS}, 20, 12).eval()
        x = torch.randn(5, 20, generator=torch.Generator().manual_seed(0))
        torch.testing.assert_close(network(x), network.network(x))
