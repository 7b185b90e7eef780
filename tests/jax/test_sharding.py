"""Arrays that are spread over devices get the numbers that they get on one, and no device gets a whole one."""

from __future__ import annotations

import math
import os
import re
import subprocess
import sys

import pytest

SIZE = 56  # no other array of these programs has so many elements as a weight of this size

ON_DEVICES = """
import hashlib
import jax, jax.numpy as jnp, numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec
from convex_init.jax import apply

count, size = len(jax.devices()), SIZE
def fn(p, x):
    z = jax.nn.relu(x @ p["a"]["w"] + p["a"]["b"])
    return jax.nn.relu(z @ p["b"]["w"] + p["b"]["b"]) @ jax.nn.softplus(p["c"]["w"]) + p["c"]["b"]
x = jax.ShapeDtypeStruct((8, size), "float32")
laws = [
    {}, {"match_moments": True}, {"distribution": "gamma"}, {"distribution": "gamma", "match_moments": True},
    {"method": "isometric"},
    {"distribution": "spike_and_slab", "match_moments": True, "exclude": "c"},  # behind softplus there is no 0
]
cuts = [((None, "d"), AxisType.Auto), (("d", None), AxisType.Explicit)]
for options in laws:
    found = set()
    for spec, kind in cuts:
        mesh = jax.make_mesh((count,), ("d",), axis_types=(kind,))
        spread = NamedSharding(mesh, PartitionSpec(*spec))
        made = jax.jit(lambda: jnp.zeros((size, size)), out_shardings=spread)
        params = {name: {"w": made(), "b": jnp.zeros(size)} for name in "abc"}
        _, new = apply((fn, params), x, key=jax.random.key(3), **{"method": "bounded_gain", **options})
        assert all(layer["w"].sharding.is_equivalent_to(spread, 2) for layer in new.values()), options
        numbers = b"".join(np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(new))
        found.add(hashlib.sha256(numbers).hexdigest())
    (one,) = found  # wherever the shards are cut
    print(one)
"""


def ran_on(count: int, programs: str) -> list[str]:
    flags = f"--xla_force_host_platform_device_count={count} --xla_dump_to={programs} --xla_dump_hlo_as_text"
    # Devices of one process meet in threads of one pool, as many as the machine has cores: on two cores, two programs
    # that run at once can each hold a thread and wait for ever for the other device. So there are threads to spare.
    environment = {**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu", "NPROC": "32"}
    code = ON_DEVICES.replace("SIZE", str(SIZE))
    ran = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.split()


@pytest.fixture(scope="module")
def on_one(tmp_path_factory):
    return ran_on(1, str(tmp_path_factory.mktemp("programs")))


def test_each_law_has_numbers_of_its_own(on_one):
    assert len(set(on_one)) == len(on_one) == 6


@pytest.mark.parametrize("count", [2, 4, 8])
def test_numbers_do_not_depend_on_how_arrays_are_spread_and_no_device_has_a_whole_one(on_one, count, tmp_path):
    assert ran_on(count, str(tmp_path)) == on_one
    programs = list(tmp_path.glob("*after_optimizations.txt"))
    assert len(programs) > 50
    if count == 8:  # then the keys of a shard are fewer than the numbers of a weight
        assert max(largest_in(path.read_text(encoding="utf-8")) for path in programs) < SIZE * SIZE


def largest_in(program: str) -> int:
    """The most elements of an array on one device, in what XLA runs there."""
    shapes = re.findall(r"\b(?:f32|f64|u32|s32|u64|s64|u8|pred|bf16)\[([\d,]+)\]", program)
    return max((math.prod(map(int, shape.split(","))) for shape in shapes), default=0)
