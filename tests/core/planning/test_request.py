from functools import partial

import pytest

from convex_init_core import InitSettings, relu, softplus
from convex_init_core.request import request


def test_the_method_of_a_whole_model_looks_at_it() -> None:
    assert request().settings.method == "auto"
    assert InitSettings().method == "log_normal"


def test_settings_and_arguments_come_together() -> None:
    made = request(correlation=0.3)
    assert made.settings == InitSettings(correlation=0.3, method="auto")
    assert request(convex_inputs="x").convex_inputs == {"x": None}
    assert request(convex_inputs=[0, "y"]).convex_inputs == {"0": None, "y": None}
    assert request(positive="a.*").positive == ("a.*",)
    assert request(free=["a", "b"]).free == ("a", "b")


def test_what_feeds_is_one_activation_or_one_for_each_pattern() -> None:
    assert request(fed_by="relu").feeding("any.layer") == relu()
    mapped = request(fed_by={"a.*": "softplus", "*": "relu"})
    assert mapped.feeding("a.0") == softplus()
    assert mapped.feeding("b") == relu()
    assert request(fed_by={"a": "relu"}).feeding("b") is None
    assert request().feeding("b") is None


def test_a_predicate_stays_one() -> None:
    def chosen(path: str) -> bool:
        return path == "a"

    assert request(exclude=chosen).exclude is chosen
    assert callable(request(exclude=partial(chosen)).exclude)


class Layer:
    def __call__(self, x: object) -> object:
        return x


REFUSED = {
    "a typing error": ({"positve": "a"}, TypeError, r"no argument positve=; did you mean positive=\?"),
    "a setting with one": ({"corelation": 0.5}, TypeError, r"did you mean correlation=\?"),
    "nothing like it": ({"zzz": 1}, TypeError, "there is no argument zzz=; known are convex_inputs, .*threshold"),
    "the old word": ({"activation": "relu"}, TypeError, "activation= is called fed_by="),
    "entry": ({"entry": 3}, TypeError, "entry must be the name of a method, such as 'energy', got 3"),
    "calibrate": ({"calibrate": 1}, TypeError, "calibrate must be True, False or None, got 1"),
    "register": ({"register_missing_bias": "x"}, TypeError, "register_missing_bias must be True or False, got 'x'"),
    "a layer": ({"positive": Layer()}, TypeError, "positive must be a path, a list of paths or patterns, or a pred"),
    "a list of layers": ({"exclude": [Layer()]}, TypeError, "exclude must hold paths or patterns"),
    "no layer": ({"positive": []}, ValueError, "positive= is empty: name at least one layer"),
    "no input": ({"convex_inputs": []}, ValueError, "convex_inputs is empty"),
    "an input that is none": ({"convex_inputs": 1.5}, TypeError, "convex_inputs must be names or positions"),
    "a choice as an input": ({"convex_inputs": [True]}, TypeError, "convex_inputs must hold names or positions"),
    "fed by nothing known": ({"fed_by": "rleu"}, ValueError, "rleu"),
    "fed by a number": ({"fed_by": 3}, TypeError, "fed_by: .*3"),
    "numbers as patterns": ({"fed_by": {0: "relu"}}, TypeError, r"fed_by must map patterns .* got \[0\]"),
    "a map": ({"positivity": "sofplus"}, ValueError, "positivity 'sofplus' is unknown"),
    "a method": ({"method": "he"}, ValueError, "method 'he' is unknown; known are auto, bounded_gain, log_normal, iso"),
    "kinks": ({"kinks": True}, ValueError, "kinks=True is unknown; known are 'auto', 'origin', 'spread'"),
    "a range": ({"correlation": 1.0}, ValueError, "correlation must lie strictly between 0 and 1"),
    "a threshold alone": (
        {"threshold": 0.5, "method": "bounded_gain"},
        ValueError,
        "threshold=0.5 has no meaning for method 'bounded_gain'",
    ),
    "a threshold and a choice": (
        {"threshold": 0.5, "method": "isometric", "exclude": "a"},
        ValueError,
        "threshold= needs every layer of a chain as it is, so exclude= may not be given",
    ),
    "a threshold and a measurement": (
        {"threshold": 0.5, "method": "isometric", "calibrate": True},
        ValueError,
        "threshold= leaves the signal off its centre .* calibrate=True",
    ),
}


@pytest.mark.parametrize(("options", "kind", "message"), REFUSED.values(), ids=REFUSED)
def test_refusals_name_the_argument_and_the_remedy(
    options: dict[str, object], kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind, match=message):
        request(**options)  # type: ignore[arg-type]


def test_an_error_of_ones_own_code_is_not_mistaken_for_an_unknown_argument() -> None:
    with pytest.raises(TypeError, match="bias_noise must be a real number, got 'unexpected keyword'"):
        request(bias_noise="unexpected keyword")  # type: ignore[typeddict-item]
