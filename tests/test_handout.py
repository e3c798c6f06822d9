"""The handout: one A4 page whose numbers are true, and whose code runs."""

import math
import re

import jax
import jax.numpy as jnp
import pytest

import initlab
from initlab import Setting
from tests import labelled_cases as known
from tools import handout

KEY = jax.random.key(0)
WIDEST = {"power": -24, "healthy": False}  # of the table of pairs


@pytest.fixture(scope="module")
def said():
    """What the page says, with pairs that are not measured: that takes long."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(handout, "judge", lambda start: WIDEST)
        return handout.contents()


def assert_is_one_page(pdf: bytes) -> None:
    assert len(re.findall(rb"/Type\s*/Page\b", pdf)) == 1
    [box] = re.findall(rb"/MediaBox\s*\[0 0 ([\d.]+) ([\d.]+)\]", pdf)
    # A4 in points; PDF keeps four decimals
    assert [float(length) for length in box] == pytest.approx([210 / 25.4 * 72, 297 / 25.4 * 72])


def test_it_is_one_page_that_can_be_heard(said):
    pdf = handout.compile_page(said)
    assert_is_one_page(pdf)
    assert b"/Title(How a network should start)" in pdf
    assert b"/Lang(en)" in pdf
    assert b"<pdfuaid:part>1</pdfuaid:part>" in pdf  # typst refuses what PDF/UA-1 does not allow
    formulas = [law for law in said["laws"] if law["formula"] is not None]
    assert pdf.count(b"/Alt") == len(said["pictures"]) + len(formulas)


def test_a_second_page_would_show(said):
    pages = handout.compile_page(said | {"lessons": 9 * said["lessons"]}, format="pdf")
    with pytest.raises(AssertionError):
        assert_is_one_page(pages)


def test_nothing_is_set_in_tiny_type():
    sizes = re.findall(
        r"text\((?:.*size: )?([\d.]+)pt|small = ([\d.]+)pt", handout.SOURCE.read_text()
    )
    sizes = [float(one or other) for one, other in sizes]
    assert len(sizes) >= 4
    assert min(*sizes, handout.TYPE) >= 8.5


def torch_default(key, shape):
    """As PyTorch documents it: uniform between plus and minus 1 / sqrt(fan_in)."""
    return jax.random.uniform(key, shape, minval=-1) / math.sqrt(shape[0])


@pytest.mark.parametrize(
    ("name", "drawn"),
    [
        ("lecun_normal", jax.nn.initializers.lecun_normal()),
        ("glorot_normal", jax.nn.initializers.glorot_normal()),
        ("he_normal", jax.nn.initializers.he_normal()),
        ("orthogonal", jax.nn.initializers.orthogonal()),
        ("zeros", jax.nn.initializers.zeros),
        ("torch_default", torch_default),
    ],
)
def test_a_laws_number_is_that_of_weights_drawn_by_others(said, name, drawn):
    [law] = [law for law in said["laws"] if law["name"] == name]
    for fans, value in [(handout.FANS, float(law["value"])), ((128, 512), None)]:
        wanted = float(jnp.sqrt(jnp.mean(drawn(KEY, fans) ** 2)))
        # five standard deviations of that of 65,536 numbers, and four decimals
        tolerance = {"rel": 5 / math.sqrt(2 * fans[0] * fans[1]), "abs": 5e-5}
        assert handout.spread(handout.LAWS[name], *fans) == pytest.approx(wanted, **tolerance)
        if value is not None:
            assert value == pytest.approx(wanted, **tolerance)


def test_when_and_source_are_the_catalogues(said):
    catalogue = {row["name"]: row for row in initlab.initializers()}
    sources = {law["name"]: law["source"] for law in said["laws"]}
    assert all(law["when"] == catalogue[law["name"]]["when"] for law in said["laws"])
    assert sources["he_normal"] == "He et al. 2015"
    assert sources["glorot_normal"] == "Glorot & Bengio 2010"
    for name, source in sources.items():
        assert re.findall(r"\d{4}", source) == re.findall(r"\d{4}", catalogue[name]["source"])[:1]


def test_gains_are_exact(said):
    gains = {row["name"]: float(row["gain"]) for row in said["pairs"]}
    assert set(gains) == {row["name"] for row in initlab.activations()}
    assert gains["linear"] == 1
    assert gains["relu"] == pytest.approx(math.sqrt(2), abs=5e-5)
    assert gains["tanh"] == pytest.approx(1 / math.sqrt(0.3943), abs=5e-4)  # E[tanh(z)^2], 4 digits


@pytest.mark.parametrize(
    ("activation", "start", "gain", "factor", "healthy"),
    [
        ("linear", "lecun_normal", 1, 1, True),
        ("linear", "he_normal", 1, 2, False),
        ("relu", "lecun_normal", 1, 1 / 2, False),
        ("relu", "lecun_normal", math.sqrt(2), 1, True),
        ("relu", "he_normal", 1, 1, True),
    ],
)
def test_a_pair_is_judged_as_theory_has_it(activation, start, gain, factor, healthy):
    setting = Setting(**handout.DEEP, activation=activation, initializer=start, gain=gain)
    judged = handout.judge(setting)
    steps, width = setting.depth - 1, setting.width
    # a logarithm spreads by sqrt(5 L / n) at most (Hanin & Rolnick 2018); and half by rounding
    spread = 2 * math.sqrt(5 * steps / width) / math.log(10)
    assert judged["power"] == pytest.approx(steps * math.log10(factor), abs=spread + 0.5)
    assert judged["healthy"] == healthy


def test_every_failure_has_an_example_that_shows_it(said):
    modes = {known.SYMMETRY, known.VANISH, known.EXPLODE, known.SATURATE}
    modes |= {known.DEAD, known.ALIKE, known.OVERFLOW, known.UNDERFLOW}
    assert set(said["examples"]) == modes
    for mode, fields in handout.EXAMPLES.items():
        found = initlab.diagnose(initlab.probe(Setting(**fields)))
        assert mode in {failure.mode for failure in found.failures}


def test_pictures_say_what_theory_says(said):
    distinct, gradient, signal = (picture["alternative"] for picture in said["pictures"])
    assert "128 of 128 from random weights, 1 from constant ones" in distinct
    # a factor of ten covers what a width of 128 leaves to chance over 29 layers, and tanh's curve
    for text, factor in [
        (re.search(r"times (\S+) at a gain of 0.5", gradient)[1], 0.25**29),
        (re.search(r"times (\S+) by LeCun", signal)[1], 0.5**29),
        (re.search(r"times (\S+) by He", signal)[1], 1),
    ]:
        assert abs(math.log10(float(text) / factor)) < 1


def test_the_code_runs(capsys):
    [code] = re.findall(r"```python\n(.*?)```", handout.SOURCE.read_text(), re.DOTALL)
    batch = initlab.data.digits(64).inputs
    params = [0.2 * jax.nn.initializers.he_normal()(KEY, (64, 64)) for _ in range(5)]

    def network(params, batch):
        for weight in params:
            batch = jax.nn.relu(batch @ weight)
        return batch

    lines = "\n".join(line.strip() for line in code.splitlines())
    names = {"network": network, "params": params, "batch": batch}
    exec(lines, names)
    assert "anishing gradients" in capsys.readouterr().out
    assert len(lines.splitlines()) == 4
    # and what the lines under it promise
    with pytest.raises(AssertionError, match="anishing gradients"):
        names["report"].raise_if_unhealthy()
    assert initlab.examine(network, names["report"].remedy().params, batch).healthy


@pytest.mark.slow
def test_the_page_as_it_is_made(tmp_path, monkeypatch):
    monkeypatch.setattr(handout, "OUT", tmp_path / "build" / "handout.pdf")
    handout.main()
    assert_is_one_page(handout.OUT.read_bytes())
