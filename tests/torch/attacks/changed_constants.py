"""Constants that are changed between their use and the end."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from tests.torch.attacks.models import Attack


def by_copy(self, x):
    y = x @ self.Q
    self.Q.data.copy_(torch.eye(4))
    return (y * x).sum(-1)


def with_data(self, x):
    y = x @ self.Q
    self.Q.data = torch.eye(4)
    return (y * x).sum(-1)


def twice(self, x):
    with torch.no_grad():
        self.Q.copy_(-torch.eye(4))
    y = x @ self.Q
    with torch.no_grad():
        self.Q.copy_(torch.eye(4))
    return (y * x).sum(-1)


def detach_abs(self, x):
    w = self.Q.detach()
    y = x.abs() @ w
    w.abs_()
    return y


def view_mul(self, x):
    w = self.Q.view(-1)
    y = x.abs() @ self.Q
    w.data.mul_(-1)
    return y


def with_numpy(self, x):
    k = self.Q.detach().numpy()
    y = x.abs() @ self.Q
    k[:] = 1
    return y


def derived(self, x):
    Q = self.Q * 1
    y = x @ Q
    Q.copy_(torch.eye(4))
    return (y * x).sum(-1)


def big(self, x):
    Q = torch.zeros(600, 600)
    Q[:4, :4] = -torch.eye(4)
    xx = F.pad(x, (0, 596))
    y = xx @ Q
    Q.zero_()
    return (y * xx).sum(-1)


def concat_weight(self, x):
    z = torch.cat([x, x.abs()], 1)
    W = torch.ones(2, 8) * -1
    y = z @ W.T
    W.abs_()
    return y


def prelu_slope(self, x):
    slope = torch.tensor([3.0])
    y = F.prelu(x, slope)
    slope.fill_(0.5)
    return y


def threshold_num(self, x):
    t = torch.tensor(0.5)
    c = x > t
    t.fill_(0.0)
    return torch.where(c, x, 0.0)


def pow_exponent(self, x):
    p = torch.tensor(0.5)
    y = x.abs().pow(p)
    p.fill_(2.0)
    return y


def mul_const(self, x):
    v = torch.tensor([-1.0])
    y = v * x.square()
    v.abs_()
    return y


def bn(self, x):
    var = torch.full((4,), 1.0)
    g = torch.full((4,), -1.0)
    y = F.batch_norm(x.abs(), torch.zeros(4), var, g)
    g.abs_()
    return y


def mask(self, x):
    m = torch.tensor([True, False, False, True])
    y = torch.where(m, x.abs(), -x.abs())
    m.fill_(True)
    return y


def multidot(self, x):
    W = -torch.ones(4, 4)
    y = torch.linalg.multi_dot([x.abs(), W])
    W.abs_()
    return y


def set(self, x):
    W = torch.eye(4)
    y = x @ W
    z = y @ self.Q
    self.Q.data.set_(torch.eye(4).untyped_storage(), 0, (4, 4))
    return (z * y).sum(-1)


def init(self, x):
    Q = self.Q
    y = x @ Q
    torch.nn.init.eye_(Q.data)
    return (y * x).sum(1)


def alias_after(self, x):
    a = torch.ones(4, 4)
    b = a.t()
    x = (x.abs() @ b).relu()
    a.neg_()
    return x.abs() @ b


ATTACKS = {
    "copy": Attack(by_copy, Q=-torch.eye(4)),
    "data=": Attack(with_data, Q=-torch.eye(4)),
    "twice": Attack(twice, Q=torch.eye(4)),
    "detach abs": Attack(detach_abs, Q=-torch.eye(4)),
    "view mul": Attack(view_mul, Q=-torch.eye(4)),
    "numpy": Attack(with_numpy, Q=-torch.eye(4)),
    "derived": Attack(derived, Q=-torch.eye(4)),
    "big": Attack(big),
    "concat weight": Attack(concat_weight),
    "prelu slope": Attack(prelu_slope),
    "threshold num": Attack(threshold_num),
    "pow exponent": Attack(pow_exponent),
    "mul const": Attack(mul_const),
    "bn": Attack(bn),
    "mask": Attack(mask),
    "multidot": Attack(multidot),
    "set_": Attack(set, Q=-torch.eye(4)),
    "init": Attack(init, Q=-torch.eye(4)),
    "alias after": Attack(alias_after),
}
