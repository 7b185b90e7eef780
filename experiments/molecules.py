"""What the figures of molecules share: drug-likeness, similarity, and a picture of a molecule."""

from __future__ import annotations

from typing import Any


def drug_likeness(smiles: str) -> float:
    """Return the QED of a molecule, from 0 to 1."""
    from rdkit import Chem
    from rdkit.Chem import QED

    qed: Any = QED.qed  # RDKit is typed in part
    return float(qed(Chem.MolFromSmiles(smiles)))


def tanimoto(first: str, second: str) -> float:
    """Return the Tanimoto similarity of two molecules by their Morgan fingerprints (radius 2, 2,048 bits)."""
    from rdkit import Chem, DataStructs
    from rdkit.Chem import rdFingerprintGenerator

    generator = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=2048)
    one, other = (generator.GetFingerprint(Chem.MolFromSmiles(smiles)) for smiles in (first, second))
    return float(DataStructs.TanimotoSimilarity(one, other))


def picture(smiles: str) -> Any:
    """Return the structure of a molecule as an image of 300 × 300 pixels."""
    import io

    from PIL import Image
    from rdkit import Chem
    from rdkit.Chem.Draw import rdMolDraw2D

    drawer = rdMolDraw2D.MolDraw2DCairo(300, 300)
    drawer.DrawMolecule(Chem.MolFromSmiles(smiles))
    drawer.FinishDrawing()
    return Image.open(io.BytesIO(drawer.GetDrawingText()))
