"""Branches on sizes and on finiteness, which depend on numbers; the example takes the convex way."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from tests.torch.attacks.models import Attack, branch, energy

ATTACKS = {
    "numel": Attack(lambda self, x: branch(x, x[x.abs() > 20].numel())),
    "nonzero": Attack(lambda self, x: branch(x, len(torch.nonzero(x > 20)))),
    "nonzero_tuple": Attack(lambda self, x: branch(x, len(torch.nonzero(x > 20, as_tuple=True)[0]))),
    "masked_select": Attack(lambda self, x: branch(x, x.masked_select(x > 20).shape[0])),
    "argwhere": Attack(lambda self, x: branch(x, torch.argwhere(x > 20).shape[0])),
    "unique": Attack(lambda self, x: branch(x, torch.unique((x / 20).trunc()).shape[0] > 1)),
    "unique_consecutive": Attack(
        lambda self, x: branch(x, torch.unique_consecutive((x.flatten() / 20).trunc()).shape[0] > 1)
    ),
    "bincount": Attack(lambda self, x: branch(x, len(torch.bincount(x.abs().long().flatten())) > 20)),
    "repeat_interleave": Attack(
        lambda self, x: branch(x, torch.ones(1).repeat_interleave((x.sum() > 50).long().reshape(1)).numel())
    ),
    "repeat_interleave2": Attack(
        lambda self, x: branch(x, torch.repeat_interleave((x.sum() > 50).long().reshape(1)).numel())
    ),
    "sparse": Attack(lambda self, x: branch(x, (x * (x > 20)).to_sparse()._nnz())),
    "sparse idx": Attack(lambda self, x: branch(x, (x * (x > 20)).to_sparse().indices().shape[1])),
    "csr": Attack(lambda self, x: branch(x, (x * (x > 20)).to_sparse_csr().col_indices().shape[0])),
    "coalesce": Attack(
        lambda self, x: branch(
            x,
            torch.sparse_coo_tensor(
                (x.sum() > 50).long().reshape(1, 1).expand(1, 2) * torch.tensor([[0, 1]]), torch.ones(2), (5,)
            )
            .coalesce()
            ._nnz()
            == 2,
        )
    ),
    "one_hot": Attack(lambda self, x: branch(x, F.one_hot((x.sum() > 50).long()).shape[-1] > 1)),
    "histc": Attack(lambda self, x: branch(x, torch.histc(x, 5, -1, 50)[4])),
    "where1": Attack(lambda self, x: branch(x, torch.where(x > 20)[0].numel())),
    "index bool": Attack(lambda self, x: branch(x, torch.arange(12)[(x.flatten() > 20)].shape[0])),
    "arange": Attack(lambda self, x: branch(x, torch.arange(int(x.sum() > 50)).numel())),
    "split": Attack(
        lambda self, x: branch(x, torch.tensor_split(torch.ones(3), (x.sum() > 50).long().reshape(1).cpu())[0].numel())
    ),
    "pack": Attack(
        lambda self, x: branch(x, nn.utils.rnn.pad_sequence([torch.ones(len(torch.nonzero(x > 20)) + 1)]).shape[0] > 1)
    ),
    "narrow": Attack(lambda self, x: branch(x, len(torch.narrow(torch.ones(3), 0, (x.sum() > 50).long(), 1)))),
    "narrow val": Attack(lambda self, x: torch.narrow(torch.tensor([0.0, 5.0]), 0, (x.sum() > 0.5).long(), 1)),
    "combinations": Attack(lambda self, x: branch(x, torch.combinations(x[x > 20]).shape[0] > 1)),
    "bool()": Attack(lambda self, x: branch(x, not torch.equal(x, x.clamp(max=20)))),
    "allclose": Attack(lambda self, x: branch(x, not torch.allclose(x, x.clamp(max=20)))),
    "is_nonzero": Attack(lambda self, x: branch(x, torch.is_nonzero((x.sum() > 50).float()))),
    "segment": Attack(
        lambda self, x: branch(
            x,
            len(
                torch.nn.utils.rnn.pack_padded_sequence(
                    torch.ones(1, 60, 1), (x.abs().sum().long() + 1).clamp(max=60).reshape(1).cpu(), batch_first=True
                ).batch_sizes
            )
            > 50,
        )
    ),
    "index size": Attack(lambda self, x: branch(x, torch.ones(3)[: int(x.sum() > 50)].numel())),
    "__index__": Attack(lambda self, x: branch(x, [0, 1][(x.sum() > 50).long()])),
    "range": Attack(lambda self, x: branch(x, len(range((x.sum() > 50).long())))),
    "isfinite": Attack(lambda self, x: energy(x) if torch.isfinite(x.exp()).all() else -energy(x)),
    "isfinite inv": Attack(lambda self, x: branch(x, torch.isfinite(1 / torch.relu(x.sum() - 50)))),
    "isnan": Attack(lambda self, x: branch(x, not (x - 20).sum().log().isnan())),
    "neq": Attack(lambda self, x: (lambda z: branch(x, not bool((z != z).any())))((x.sum() - 50).sqrt())),
    "isinf exp": Attack(lambda self, x: branch(x, x.exp().isinf().any())),
    "isposinf": Attack(lambda self, x: branch(x, torch.isposinf(x.exp()).any())),
    "scaled input inf": Attack(lambda self, x: branch(x, torch.isinf(x * 3e38).any())),
    "half": Attack(lambda self, x: branch(x, torch.isinf((x * 1000).half()).any())),
    "half of input": Attack(lambda self, x: branch(x, torch.isinf(x.half()).any())),
    "neq inf": Attack(lambda self, x: branch(x, ((x * x * 1e37).abs() == float("inf")).any())),
    "context nan where": Attack(lambda self, x: torch.where(torch.isnan((x.sum() - 1).log()), energy(x), -energy(x))),
    "where isfinite": Attack(lambda self, x: torch.where(torch.isfinite(x.exp() * 1e30), x.abs(), -x.abs())),
    "nan_to_num": Attack(lambda self, x: (x - 1).log().nan_to_num(5.0)),
    "nansum": Attack(lambda self, x: torch.nansum((x - 1).sqrt(), 1) * -1),
    "nanmean": Attack(lambda self, x: torch.nanmean(-(x - 1).log(), 1)),
    "fmax": Attack(lambda self, x: torch.fmax(-(x - 1).log(), torch.full_like(x, -100.0))),
    "sum isnan": Attack(
        lambda self, x: branch(x, torch.isnan(x.sum() * 0 + (x.sum() - 50).sqrt()).logical_not().any())
    ),
    "product inf": Attack(
        lambda self, x: branch(x, torch.isfinite(torch.tensor(float("inf")) * torch.relu(x.sum() - 50)))
    ),
    "cmp of nan const": Attack(lambda self, x: branch(x, (x.sum() * 3e38).isinf())),
    "isclose": Attack(lambda self, x: branch(x, not torch.isclose(x.sum(), x.sum().clamp(max=50.0)))),
    "float16 check reshape": Attack(
        lambda self, x: branch(x, torch.isfinite(x.reshape(-1).to(torch.float16)).all().logical_not())
    ),
    "x!=y": Attack(lambda self, x: branch(x, (x != x.clamp(max=20)).any())),
    "mask": Attack(lambda self, x: x.exp().isfinite().float() * -x.abs()),
    "signbit": Attack(lambda self, x: branch(x, torch.signbit(x.sum() - 50).logical_not())),
    "maximum -inf": Attack(lambda self, x: -torch.maximum(torch.log(F.relu(x)), torch.tensor(-5.0))),
}
