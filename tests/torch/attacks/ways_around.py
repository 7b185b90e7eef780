"""Ways around the recorder: text, lists, memory, threads, scripts, errors that are caught."""

from __future__ import annotations

import copy
import io
import threading

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from tests.torch.attacks.models import Attack, branch, energy

BUFFER = np.zeros((3, 4), np.float32)
SHARED = torch.from_numpy(BUFFER)
FLAT = np.zeros(12, np.float32)


def cholesky(self, x):
    try:
        torch.linalg.cholesky(torch.eye(4) * (50 - x.sum()))
    except RuntimeError:
        return -energy(x)
    return energy(x)


def embedding_err(self, x):
    try:
        F.embedding(x.abs().long().flatten()[:1], torch.ones(50, 1))
    except Exception:
        return -energy(x)
    return energy(x)


def index_err(self, x):
    try:
        torch.ones(50)[x.abs().long().flatten()[0]]
    except Exception:
        return -energy(x)
    return energy(x)


def bernoulli_err(self, x):
    try:
        torch.bernoulli(x.sum() * 0.001 + 0.5)
    except Exception:
        return -energy(x)
    return energy(x)


def distribution_err(self, x):
    try:
        torch.distributions.Normal(0.0, 50 - x.sum(), validate_args=True)
    except Exception:
        return -energy(x)
    return energy(x)


def by_a_thread(self, x):
    y = x.abs()
    t = threading.Thread(target=lambda: y.neg_())
    t.start()
    t.join()
    return y


def thread_branch(self, x):
    r = []
    t = threading.Thread(target=lambda: r.append(bool(x.sum() > 50)))
    t.start()
    t.join()
    return branch(x, r[0])


def thread_made(self, x):
    r = []
    t = threading.Thread(target=lambda: r.append(-x.abs()))
    t.start()
    t.join()
    return r[0]


def jit_fn_tolist(self, x):
    @torch.jit.script
    def f(x: torch.Tensor):
        rows: list[list[float]] = x.tolist()
        return -x.abs() if rows[0][0] > 5.0 else x.abs()

    return f(x)


def autograd_fn(self, x):
    class Op(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return torch.from_numpy(-np.abs(x.detach().numpy()))

        @staticmethod
        def backward(ctx, g):
            return g

    return Op.apply(x)


def disable_modes(self, x):
    from torch.utils._python_dispatch import _disable_current_modes

    with _disable_current_modes():
        y = -x.abs()
    return y


def disable_modes_inplace(self, x):
    y = x.abs()
    from torch.utils._python_dispatch import _disable_current_modes

    with _disable_current_modes():
        y.neg_()
    return y


def disable_tf_str(self, x):
    with torch._C.DisableTorchFunctionSubclass():
        b = "e+" in str(x)
    return branch(x, b)


def by_a_pool(self, x):
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as p:
        return p.submit(lambda: -x.abs()).result()


def numpy_buffer(self, x):
    y = x.abs()
    n = y.numpy()
    np.negative(n, out=n)
    return y


def shared_buf(self, x):
    SHARED.copy_(x.abs())
    np.negative(BUFFER, out=BUFFER)
    return SHARED * 1


def shared_buf_branch(self, x):
    SHARED.copy_(x)
    return branch(x, BUFFER.sum() > 50)


def shared_out_branch(self, x):
    torch.mul(x, 1.0, out=SHARED)
    return branch(x, BUFFER[0, 0] > 50)


def with_grad(self, x):
    y = x.clone()
    y.requires_grad_()
    with torch.enable_grad():
        z = y.square().sum()
        (g,) = torch.autograd.grad(z, y)
    return g * x.flip(1)


def jacobian(self, x):
    return torch.autograd.functional.jacobian(lambda z: z.square().sum(1), x).sum((0,)) * -x.abs()


def tobytes(self, x):
    return branch(x, len(x.cpu().numpy().tobytes()) > 1e9 or x.cpu().numpy().tobytes()[3] > 66)


def with_str(self, x):
    out = io.StringIO()
    torch.set_printoptions(profile="default")
    out.write(torch._tensor_str._str(x))
    return branch(x, "e+" in out.getvalue())


def tensor_str(self, x):
    return branch(x, "e+" in torch._tensor_str._tensor_str(x, 0))


def exc_str(self, x):
    try:
        raise ValueError(x)
    except ValueError as e:
        return branch(x, "e+" in str(e))


ATTACKS = {
    "cholesky": Attack(cholesky),
    "embedding err": Attack(embedding_err),
    "index err": Attack(index_err),
    "bernoulli err": Attack(bernoulli_err),
    "distribution err": Attack(distribution_err),
    "thread": Attack(by_a_thread),
    "thread branch": Attack(thread_branch),
    "thread made": Attack(thread_made),
    "str": Attack(lambda self, x: branch(x, "1e+05" in str(x))),
    "repr": Attack(lambda self, x: branch(x, "1e+05" in repr(x))),
    "format": Attack(lambda self, x: branch(x, "1e+05" in f"{x.sum()}")),
    "print file": Attack(
        lambda self, x: (lambda f: (print(x, file=f), branch(x, "e+" in f.getvalue()))[1])(io.StringIO())
    ),
    "dlpack": Attack(lambda self, x: torch.from_dlpack(x.abs())),
    "dlpack np": Attack(lambda self, x: torch.from_numpy(-np.from_dlpack(x.abs()))),
    "dlpack branch": Attack(lambda self, x: branch(x, np.from_dlpack(x.detach()).sum() > 50)),
    "np.asarray": Attack(lambda self, x: branch(x, np.asarray(x.detach()).sum() > 50)),
    "tolist": Attack(lambda self, x: branch(x, sum(x.flatten().tolist()) > 50)),
    "memoryview": Attack(lambda self, x: branch(x, memoryview(x.numpy())[0, 0] > 50)),
    "storage": Attack(lambda self, x: branch(x, x.untyped_storage()[3] > 66)),
    "storage tolist": Attack(lambda self, x: branch(x, x.storage().tolist()[0] > 66)),
    "iter": Attack(lambda self, x: branch(x, any(float(v) > 50 for v in x.flatten()))),
    "deepcopy tolist": Attack(lambda self, x: branch(x, copy.deepcopy(x).tolist()[0][0] > 50)),
    "bool tensor in list": Attack(lambda self, x: branch(x, (x.sum() > 50) in [True])),
    "max python": Attack(lambda self, x: max(x.sum(), torch.tensor(50.0)) * -1),
    "sorted python": Attack(lambda self, x: sorted([x.sum(), -x.sum()])[0]),
    "jit fn tolist": Attack(jit_fn_tolist),
    "autograd fn": Attack(autograd_fn),
    "disable modes": Attack(disable_modes),
    "disable modes inplace": Attack(disable_modes_inplace),
    "disable tf str": Attack(disable_tf_str),
    "pool": Attack(by_a_pool),
    "numpy buffer": Attack(numpy_buffer),
    "shared buf": Attack(shared_buf),
    "shared buf branch": Attack(shared_buf_branch),
    "shared out branch": Attack(shared_out_branch),
    "frombuffer": Attack(
        lambda self, x: (torch.frombuffer(FLAT, dtype=torch.float32).copy_(x.flatten()), branch(x, FLAT[0] > 50))[1]
    ),
    "grad": Attack(with_grad),
    "jacobian": Attack(jacobian),
    "vmap": Attack(lambda self, x: torch.func.vmap(lambda r: -r.abs())(x)),
    "functional_call": Attack(
        lambda self, x: torch.func.functional_call(
            nn.Linear(4, 1), {"weight": -torch.ones(1, 4), "bias": torch.zeros(1)}, (x.abs(),)
        )
    ),
    "numpy func": Attack(lambda self, x: torch.as_tensor(-np.abs(x.detach().cpu().numpy()))),
    "tensor(list)": Attack(lambda self, x: torch.tensor([[-abs(float(v)) for v in r] for r in x])),
    "complex": Attack(lambda self, x: branch(x, complex(x.sum()).real > 50)),
    "int": Attack(lambda self, x: branch(x, int(x.sum()) > 50)),
    "contains": Attack(lambda self, x: branch(x, 0.123456 in x)),
    "map_": Attack(lambda self, x: x.clone().map_(x, lambda p, q: -abs(p))),
    "apply_": Attack(lambda self, x: x.clone().apply_(lambda p: -abs(p))),
    "bincount w": Attack(lambda self, x: torch.bincount(torch.tensor([0, 1, 1]), weights=-x[:, 0].abs())),
    "histogram": Attack(lambda self, x: torch.histogram(x, 3)[0]),
    "lowrank": Attack(lambda self, x: torch.linalg.lstsq(x.T, torch.ones(4, 1))[0]),
    "tobytes": Attack(tobytes),
    "_str": Attack(with_str),
    "_tensor_str": Attack(tensor_str),
    "exc str": Attack(exc_str),
    "json": Attack(lambda self, x: branch(x, len(__import__("json").dumps(x.tolist())) > 400)),
    "math": Attack(lambda self, x: branch(x, __import__("math").floor(x.sum()) > 50)),
    "round": Attack(lambda self, x: branch(x, round(x.sum().item()) > 50)),
    "np.sum": Attack(lambda self, x: branch(x, float(np.sum(x.numpy())) > 50)),
    "np.ufunc": Attack(lambda self, x: np.negative(x.abs())),
    "np.maximum": Attack(lambda self, x: torch.as_tensor(np.minimum(x, 0.0))),
}
