"""Use an installed initlab without a clone: `tools/release.py` runs this where nothing else is."""

import importlib.metadata
import sys
from pathlib import Path

import initlab


def make_model():
    """Give what `python -m initlab examine trial:make_model` examines: a plain network."""
    setting = initlab.Setting(depth=4, width=64, activation="relu", initializer="he_normal")

    def network(params, inputs):
        *hidden, (weight, bias) = params
        for hidden_weight, hidden_bias in hidden:
            inputs = (inputs @ hidden_weight + hidden_bias).clip(0)
        return inputs @ weight + bias

    return network, initlab.weights(setting), initlab.data.digits(64).inputs


def main(version: str) -> None:
    """Fail unless this version is installed, whole, and works."""
    home = Path(initlab.__file__).parent
    assert home.is_relative_to(sys.prefix), f"initlab was imported from {home}"
    assert importlib.metadata.version("initlab") == version
    assert getattr(initlab, "__version__", version) == version
    assert (home / "py.typed").is_file()  # type checkers read __init__.pyi only beside it
    assert list(initlab.teaching.questions()), "the questions of the notebooks are not there"
    setting = initlab.Setting(depth=20, width=64, activation="tanh", gain=0.5)
    signals = initlab.probe(setting)
    print(initlab.diagnose(signals))
    initlab.plot(signals, initlab.predict(setting)).savefig("plot.png")
    assert Path("plot.png").stat().st_size > 10_000


if __name__ == "__main__":
    main(sys.argv[1])
