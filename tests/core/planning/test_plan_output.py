"""A plan as a table, as HTML, as a dict, and as what is drawn."""

import html
import json
import warnings

import pytest

from convex_init_core import as_positivity
from convex_init_core.tables import in_blocks
from tests.core.planning.models import FEATURES, WIDTH, applied, chain, dense, planned, recurrent, sample, skips
from tests.core.planning.numpy_framework import NumpyFramework

HEAD = ["layer", "role", "fan_in", "fed by", "weight law", "mean", "variance", "bias", "through", "why"]


@pytest.fixture
def columns(monkeypatch: pytest.MonkeyPatch):
    """Sets the width of the terminal."""

    def set_to(width: int | None) -> None:
        monkeypatch.delenv("COLUMNS", raising=False)
        if width is not None:
            monkeypatch.setenv("COLUMNS", str(width))

    return set_to


def test_the_table_has_a_row_for_each_weight(columns) -> None:
    columns(400)
    head, *rows = str(planned(skips(), method="log_normal")).splitlines()
    assert [part.strip() for part in head.split("  ") if part] == HEAD
    assert len(rows) == 7
    assert rows[0].split() == [*("x0", "free", "20", "-", "Normal", "0", "0.05", "0", "-"), *rows[0].split()[9:]]
    assert "summed with z1" in rows[2]
    assert "fed by softplus" in rows[1]


def test_without_a_terminal_it_is_as_wide_as_it_is(columns) -> None:
    columns(None)
    wide = str(planned(skips()))
    columns(1000)
    assert str(planned(skips())) == wide


@pytest.mark.parametrize("width", [140, 100, 80, 60])
def test_the_table_fits_the_terminal(columns, width: int) -> None:
    made = planned(skips())
    columns(1000)
    whole = {word for line in str(made).splitlines()[1:] for word in line.split()}
    columns(width)
    text = str(made)
    assert max(map(len, text.splitlines())) <= width
    assert "why" in text.splitlines()[0]
    assert text.splitlines()[0].startswith("layer")
    assert {layer.path for layer in made.layers} <= {line.split()[0] for line in text.splitlines()}
    assert {word for line in text.splitlines()[1:] for word in line.split()} <= whole


def test_no_column_is_dropped_while_the_last_one_can_be_wrapped(columns) -> None:
    columns(120)
    head = str(planned(chain())).splitlines()[0]
    assert [part.strip() for part in head.split("  ") if part] == HEAD
    columns(60)
    assert "weight law" not in str(planned(chain())).splitlines()[0]


def test_html_escapes_what_it_shows() -> None:
    made = planned(chain(caveat={"1.weight": "a <b> & c"}))
    page = made._repr_html_()
    assert "a &lt;b&gt; &amp; c" in page
    assert page.count("<tr>") == 1 + len(made.layers)
    assert all(f"<th>{name}</th>" in page for name in HEAD)


def test_a_plan_as_a_dict_is_json() -> None:
    found = json.loads(json.dumps(planned(skips(), bias_noise=0.2).to_dict()))
    assert [layer["parameter"] for layer in found["layers"]][:2] == ["x0.weight", "z1.weight"]
    z1 = found["layers"][1]
    assert (z1["role"], z1["fed_by"], z1["fan_in"], z1["positivity"]) == (
        "positive",
        "softplus(1, 20)",
        64,
        "projection",
    )
    assert found["biases"]["z1.bias"]["variance"] == pytest.approx(z1["bias_variance"], rel=1e-12, abs=0.0)
    assert found["settings"]["method"] == "bounded_gain"
    assert [each["parameter"] for each in found["kept"]] == ["z1.weight", "z2.weight", "z3.weight"]
    assert all((each["low"], each["high"], each["drawn"]) == (0.0, None, True) for each in found["kept"])


def test_weights_come_in_order_each_before_its_bias() -> None:
    assert [fill.name for fill in planned(chain(3)).fills()] == [
        *("0.weight", "0.bias", "1.weight", "1.bias"),
        *("2.weight", "2.bias"),
    ]


def test_biases_of_no_layer_come_last() -> None:
    def forward(b):
        h = b.relu(b.map("add", b.product(b.input(), b.parameter("v"), "0"), b.parameter("c")))
        return b.linear(h, "1")

    shapes = {"v": (WIDTH, FEATURES), "c": (WIDTH,)} | dense(("1", WIDTH, 1))
    fills = planned(NumpyFramework(forward, shapes, sample())).fills()
    assert [fill.name for fill in fills] == ["v", "1.weight", "1.bias", "c"]
    assert fills[1].positivity == as_positivity("projection")
    assert fills[0].positivity is None


def test_what_is_projected_is_marked() -> None:
    framework = chain(3)
    made = applied(framework)
    assert framework.marked == set(made.project) == {"1.weight", "2.weight"}
    assert all((framework.arrays[name] >= 0.0).all() for name in made.project)


def test_one_weight_under_two_names_is_drawn_once() -> None:
    framework = chain(4, tied_to={"2.weight": "1.weight"})
    made = planned(framework, method="log_normal")
    assert [layer.written for layer in made.layers] == [True, True, False, True]
    assert made.layers[2].tied == "1.weight"
    assert "tied to '1'" in made.layers[2].note
    assert "2.weight" not in [fill.name for fill in made.fills()]


def test_what_is_on_a_meta_device_is_planned_and_not_written() -> None:
    made = planned(chain(3, has_numbers={"1.weight": False, "1.bias": False}))
    assert made.unwritten == ("1",)
    assert made.measured == ()
    assert [fill.name for fill in made.fills()] == ["0.weight", "0.bias", "2.weight", "2.bias"]
    assert "on the meta device: not written" in made.layers[1].note


def test_advice_names_the_method() -> None:
    with pytest.warns(UserWarning, match="method 'bounded_gain' is known to carry a signal through 4 positive layers"):
        made = planned(chain(8))
    assert str(made).splitlines()[-1] == made.advice
    assert html.escape(made.advice) in made._repr_html_()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert planned(chain(8), method="isometric").advice == ""
        assert planned(chain(4)).advice == ""
        assert planned(skips(12)).advice == ""  # no mean grows there
    with pytest.warns(UserWarning, match="method 'log_normal' with free skips is known to carry 10"):
        planned(skips(12), method="log_normal")


def test_a_plan_says_what_stays_as_it_is() -> None:
    def forward(b):
        weight = b.parameter("0.weight")
        centred = b.map("subtract", weight, b.make("mean", (weight,), (WIDTH, 1), axes=(1,), keepdims=True))
        return b.linear(b.relu(b.product(b.input(), centred)), "1")

    made = planned(NumpyFramework(forward, dense(("0", FEATURES, WIDTH), ("1", WIDTH, 1)), sample()))
    assert [layer.path for layer in made.layers] == ["1"]
    assert list(made.left) == ["0"]
    assert "0 stays as it is: its weight" in str(made)


def test_a_recurrent_matrix_stands_in_one_row() -> None:
    assert [layer.path for layer in planned(recurrent()).layers] == ["u", "w"]


@pytest.mark.parametrize("width", [100, 60, 30])
def test_a_table_of_numbers_goes_on_below_where_the_terminal_is_narrow(columns, width: int) -> None:
    head = ["layer", *(f"column {i}" for i in range(9))]
    rows = [head, *([f"layer {k}", *(f"{k}.{i:06}" for i in range(9))] for k in range(3))]
    columns(width)
    blocks = [block.splitlines() for block in in_blocks(rows).split("\n\n")]
    assert max(len(line) for block in blocks for line in block) <= width
    assert all(len(block) == 4 and block[0].startswith("layer") and block[2].startswith("layer 1") for block in blocks)
    names = [name for block in blocks for name in block[0].split("  ")[1:] if name]
    assert [name.strip() for name in names] == head[1:]
    columns(None)
    assert "\n\n" not in in_blocks(rows)


def test_a_weight_that_is_free_by_name_alone_is_told_apart() -> None:
    first, second = planned(chain(2), free=["0", "1"]).layers
    assert "against the data flow" in second.note
    assert "against the data flow" not in first.note
    assert all("against the data flow" not in layer.note for layer in planned(skips()).layers)
