"""Every model in the zoo is certified after ``apply_``, and no longer once one effective weight is negative."""

from __future__ import annotations

import pytest
import torch

import convex_init.torch as ci
from tests.torch.zoo import ZOO
from tests.torch.zoo.cases import cases, initialised
from tests.torch.zoo.effective import raw_of

# Deep chains without skips are in the zoo, too.
pytestmark = pytest.mark.filterwarnings("ignore:method 'log_normal' is known:UserWarning")


@pytest.mark.parametrize(("name", "depth"), cases())
def test_certified_until_one_weight_is_negative(name, depth):
    entry = ZOO[name]
    model, shown, _ = initialised(name, depth, count=16)
    if entry.tighten:
        getattr(model, entry.tighten)()
        ci.project_(model)
    call, options = getattr(model, entry.entry), {"entry": entry.entry, "outputs": entry.outputs, "search": False}
    call(*shown) if isinstance(shown, tuple) else call(shown)  # some set themselves by the first batch
    certificate = ci.certify(model, shown, entry.convex_inputs, **options)
    if entry.certified:
        assert certificate.verdict == "cannot tell"
        assert entry.certified in str(certificate)
        return
    assert certificate.verdict == "convex", str(certificate)
    plain = [row.path for row in entry.rows(depth) if row.through == "projection"]
    if not plain:
        return
    path = plain[len(plain) // 2]
    with torch.no_grad():
        raw_of(model, path).flatten()[1] = -1e-3
    certificate = ci.certify(model, shown, entry.convex_inputs, **options)
    assert not certificate
    named, _, value = str(certificate).partition(" goes down to ")
    assert f"'{path}.weight'" in named
    assert value.startswith("-0.001")
