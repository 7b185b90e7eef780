"""Molecules as SELFIES, and the autoencoder of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

pytest.importorskip("rdkit")
pytest.importorskip("selfies")

from experiments.autoencoder import Autoencoder, Sizes, Training, train_autoencoder
from experiments.latent import decoded, encoded
from experiments.molecules import tanimoto
from experiments.selfies_strings import FIRST, LONGEST, Alphabet, parent, spellings, tokens_of

SMILES = ("CCO", "c1ccccc1", "CC(=O)Nc1ccc(O)cc1", "CCN(CC)CC", "OC(=O)c1ccccc1", "CCCCCl", "N#CCC#N", "CSC")


@pytest.fixture(scope="module")
def alphabet():
    return Alphabet(tuple(sorted({token for smiles in SMILES for token in tokens_of(smiles)})))


@pytest.mark.parametrize(
    ("compound", "expected"),
    [
        ("[Na+].CC(=O)[O-]", "CC(=O)O"),
        ("Cl.CC[NH2+]C", "CCNC"),
        ("C[C@H](N)C(=O)O", "CC(N)C(=O)O"),
        ("C/C=C/C", "CC=CC"),
        ("C[N+](C)(C)C", "C[N+](C)(C)C"),  # no proton to give away
        ("OCC", "CCO"),
    ],
)
def test_a_compound_is_its_largest_fragment_neutral_and_without_stereochemistry(compound, expected):
    assert parent(compound) == expected


def test_codes_are_read_back(alphabet):
    codes = alphabet.codes([tokens_of(parent(smiles)) for smiles in SMILES])
    assert codes.shape == (len(SMILES), LONGEST + 1)
    assert alphabet.smiles(codes) == [parent(smiles) for smiles in SMILES]


def test_any_codes_are_a_molecule(alphabet):
    from rdkit import Chem

    codes = np.random.default_rng(0).integers(FIRST, alphabet.size, (200, LONGEST + 1))
    found = alphabet.smiles(codes)
    assert all(smiles and Chem.MolFromSmiles(smiles) is not None for smiles in found)
    assert alphabet.smiles(np.zeros((1, LONGEST + 1), np.int64)) == [""]


def test_what_cannot_be_spelled_is_told(alphabet):
    assert alphabet.spells(tokens_of("CCO"))
    assert not alphabet.spells(tokens_of("C[Se]C"))
    assert not alphabet.spells(tokens_of("C" * (LONGEST + 1)))
    assert not alphabet.spells(None)
    assert not alphabet.spells(())


def test_rare_tokens_are_not_in_the_alphabet():
    strings = [("[C]", "[O]")] * 5 + [("[C]", "[Hg]", "[Hg]")] * 4 + [None]
    assert Alphabet.of(strings).tokens == ("[C]", "[O]")


def test_other_spellings_are_the_same_molecule():
    import selfies

    smiles = "CC(=O)Nc1ccc(O)cc1"
    found = spellings(smiles, 6, 0)
    assert len(found) > 2
    assert {parent(selfies.decoder("".join(tokens))) for tokens in found} == {smiles_of(smiles)}
    assert found == spellings(smiles, 6, 0) != spellings(smiles, 6, 1)
    assert spellings(smiles, 0, 0) == []


def smiles_of(smiles):
    from rdkit import Chem

    return Chem.MolToSmiles(Chem.MolFromSmiles(smiles))


def small(alphabet, seed=0):
    torch.manual_seed(seed)
    return Autoencoder(Sizes(alphabet.size, 3, latent=16, hidden=64, place=16))


def test_the_decoder_writes_what_its_logits_say(alphabet):
    network = small(alphabet).eval()
    latent = torch.randn(6, 16, generator=torch.Generator().manual_seed(1))
    written = network.decode(latent)
    before = torch.nn.functional.pad(written[:, :-1], (1, 0), value=1)
    with torch.no_grad():
        logits = network.logits(latent, before)
    logits[..., 1] = -torch.inf  # a string does not begin again
    length = (written != 0).sum(1)
    counted = torch.arange(written.shape[1]) <= length[:, None]
    assert torch.equal(logits.argmax(2)[counted], written[counted])


def test_training_makes_it_give_back_what_it_saw(alphabet):
    canonical = [parent(smiles) for smiles in SMILES]
    codes = [alphabet.codes([tokens_of(smiles)]) for smiles in canonical]
    properties = np.random.default_rng(0).normal(size=(len(SMILES), 3)).astype(np.float32)
    found = []
    for _ in range(2):
        network = small(alphabet)
        losses = train_autoencoder(network, codes, properties, Training(150, noise=0.1, lr=5e-3), 0)
        found.append(losses)
    assert found[0] == found[1]
    assert losses[-1] < 0.3 * losses[0]
    latent = encoded(network, np.concatenate(codes))
    back = decoded(network, alphabet, latent)
    assert sum(one == other for one, other in zip(canonical, back, strict=True)) >= 6


def test_similarity_is_one_for_the_same_molecule():
    assert tanimoto("CCO", "OCC") == 1.0 > tanimoto("CCO", "c1ccccc1")
