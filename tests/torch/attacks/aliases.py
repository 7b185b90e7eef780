"""Tensors that share memory, and memory that is exchanged."""

from __future__ import annotations

import copy
import io

import torch

from tests.torch.attacks.models import Attack


def by_alias(self, x):
    h = -x.square()
    k = h[:]
    h.data = -x.square()
    h + 0
    k.copy_(x.square())
    return h


def clone(self, x):
    h = -x.square()
    k = h.detach()
    h.data = h.data.clone()
    k.copy_(x.square())
    return h


def set_data(self, x):
    h = x.square()
    k = h.view(-1)
    h.data = -x.square()
    k.mul_(1.0)
    return h


def set(self, x):
    h = x.square()
    g = -x.square()
    h.set_(g)
    return h


def share(self, x):
    h = x.square()
    g = -x.square()
    h.data = g
    g.abs_()
    g.neg_()
    return h


def resize(self, x):
    h = -x.abs()
    t = h.T
    h.resize_(4, 3)
    t.abs_()
    return h


def strided(self, x):
    h = x.abs()
    v = h.as_strided((6,), (2,))
    v.neg_()
    return h


def view_int(self, x):
    h = x.abs()
    v = h.view(torch.int32)
    v.bitwise_xor_(torch.tensor(-2147483648, dtype=torch.int32))
    return h


def storage_set(self, x):
    h = -x.abs()
    h2 = torch.empty_like(h)
    h2.set_(h.untyped_storage(), 0, h.shape, h.stride())
    h2.abs_()
    h2.neg_()
    return h2


def expand(self, x):
    h = x.abs()
    y = h.expand(2, 3, 4)
    h.neg_()
    return y


def foreach(self, x):
    h = x.abs()
    it = h.unbind(0)
    torch._foreach_neg_(list(it))
    return h


def swap_data(self, x):
    a_ = x.abs()
    b = -x.abs()
    a_.data, b.data = b.data, a_.data
    return a_


def swap_tensors(self, x):
    a_ = x.abs()
    b = -x.abs()
    torch.utils.swap_tensors(a_, b)
    return a_


def with_out(self, x):
    h = x.abs()
    torch.neg(h, out=h)
    return h


def out2(self, x):
    h = x.abs()
    o = torch.empty(12)
    torch.neg(h.view(-1), out=o)
    return o


def with_data(self, x):
    h = x.abs()
    d = h.data
    d.neg_()
    return h


def with_storage(self, x):
    h = x.abs()
    z = h.untyped_storage()
    z2 = torch.tensor([], dtype=h.dtype).set_(z)
    z2.neg_()
    return h


def with_row(self, x):
    h = x.abs()
    h[0].neg_()
    return h


def complex(self, x):
    h = x.abs()
    c = torch.complex(h, h)
    torch.view_as_real(c).neg_()
    return c.real


def with_numpy(self, x):
    h = x.abs()
    n = h.detach().numpy()
    n *= -1
    return h


def from_numpy(self, x):
    h = x.abs().contiguous()
    torch.from_numpy(h.numpy()).neg_()
    return h


def t(self, x):
    h = x.abs()
    v = h.swapaxes(0, 1)
    h.t_()
    h.neg_()
    return v


def save_load(self, x):
    h = x.abs()
    b = io.BytesIO()
    torch.save(-h, b)
    b.seek(0)
    return torch.load(b)


def deepcopy(self, x):
    h = x.abs()
    return copy.deepcopy(-h)


ATTACKS = {
    "alias": Attack(by_alias),
    "clone": Attack(clone),
    "set data": Attack(set_data),
    "set_": Attack(set),
    "share": Attack(share),
    "resize": Attack(resize),
    "strided": Attack(strided),
    "view int": Attack(view_int),
    "storage set": Attack(storage_set),
    "expand": Attack(expand),
    "foreach": Attack(foreach),
    "swap data": Attack(swap_data),
    "swap_tensors": Attack(swap_tensors),
    "out": Attack(with_out),
    "out2": Attack(out2),
    ".data": Attack(with_data),
    "storage": Attack(with_storage),
    "row": Attack(with_row),
    "complex": Attack(complex),
    "numpy": Attack(with_numpy),
    "from_numpy": Attack(from_numpy),
    "t_": Attack(t),
    "save load": Attack(save_load),
    "deepcopy": Attack(deepcopy),
}
