"""Make the handout, one A4 page for students to take home: `python -m tools.handout`.

`docs/handout.typ` has its words and its layout. What is counted, computed or drawn comes from
initlab, so that the page says what the package says; it is written to `build/handout.pdf`.
"""

import io
import json
import re
import tomllib

import numpy as np
import typst
from matplotlib import rc_context
from matplotlib.figure import Figure

import initlab
from initlab import Setting
from tools import addresses, course, lab

SOURCE = lab.ROOT / "docs" / "handout.typ"
OUT = lab.ROOT / "build" / "handout.pdf"

FANS = (512, 128)  # of the layer whose weights' sizes are named
#: Standard deviations of a weight, as Python evaluates and the page prints them.
LAWS = {
    "lecun_normal": "sqrt(1 / fan_in)",
    "glorot_normal": "sqrt(2 / (fan_in + fan_out))",
    "he_normal": "sqrt(2 / fan_in)",
    "orthogonal": "sqrt(1 / max(fan_in, fan_out))",
    "torch_default": "sqrt(1 / (3 fan_in))",
    "zeros": "0",
    "lsuv": None,  # what a batch says
    "data_dependent": None,
}
PAIRED = ("lecun_normal", "he_normal", "orthogonal", "data_dependent")
DEEP = {"depth": 20, "width": 128}  # of the networks that pairs are judged by
SEEDS = range(3)
#: A start that shows each failure, in the order of the table.
EXAMPLES = {
    "symmetry collapse": {"initializer": "constant"},
    "vanishing gradients": {"depth": 50, "gain": 0.5},
    "exploding gradients": {"depth": 50, "gain": 2.0},
    "saturation": {"gain": 10.0},
    "dead units": {"activation": "relu", "initializer": "zeros"},
    "loss of input distinctions": {"activation": "sigmoid"},
    "numerical overflow": {"depth": 60, "activation": "relu", "gain": 20.0},
    "numerical underflow": {"depth": 50, "gain": 0.5, "dtype": "float16"},
}

MILLIMETERS = (58, 34)  # of a picture
TYPE = 8.5  # points


def contents() -> dict:
    """Everything on the page that initlab says, ready for JSON."""
    project = tomllib.loads((lab.ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    return {
        "version": project["version"],
        "address": f"github.com/{addresses.repository(lab.ROOT)}",
        "fans": FANS,
        "laws": laws(),
        "deep": DEEP,
        "pairs": pairs(),
        "examples": {mode: _spelled(fields) for mode, fields in EXAMPLES.items()},
        "pictures": [neurons(), gradients(), signals()],
        "lessons": [
            {"number": lesson.number, "title": lesson.title.partition(":")[0]}
            | {"minutes": lesson.minutes}
            for lesson in course.lessons()
        ],
    }


# --- tables ------------------------------------------------------------------------------------


def laws() -> list[dict]:
    """A row for each law: its formula, its value for ``FANS``, and what the catalogue says."""
    catalogue = {row["name"]: row for row in initlab.initializers()}
    return [
        {
            "name": name,
            "spoken": formula,
            "formula": formula and re.sub(r"fan_\w+", r'"\g<0>"', formula).replace(" / ", r"\/"),
            "value": formula and f"{spread(formula, *FANS):.4f}".replace("0.0000", "0"),
            "when": catalogue[name]["when"],
            "source": _short(catalogue[name]["source"]),
        }
        for name, formula in LAWS.items()
    ]


def _short(source: str) -> str:
    """A source as it is cited in running text: of three authors or more, the first."""
    authors, _, year = source.partition(":")[0].rpartition(" ")
    first, *others = re.split(", | & ", authors)
    return f"{first} et al. {year}" if len(others) > 1 else f"{authors} {year}"


def spread(formula: str, fan_in: int, fan_out: int) -> float:
    """The standard deviation that a formula of ``LAWS`` gives."""
    python = formula.replace("3 fan_in", "3 * fan_in")
    names = {"sqrt": np.sqrt, "max": max, "fan_in": fan_in, "fan_out": fan_out}
    return float(eval(python, {"__builtins__": {}}, names))


def pairs() -> list[dict]:
    """For each activation its exact gain, and how each start fares with it in a deep network."""
    rows = []
    for row in initlab.activations():
        name, gain = row["name"], float(row["exact gain"])
        starts = [Setting(**DEEP, activation=name, initializer=start) for start in PAIRED]
        starts.insert(1, starts[0].replace(gain=gain))
        rows.append({"name": name, "gain": row["exact gain"], "cells": [judge(s) for s in starts]})
    return rows


def judge(start: Setting) -> dict:
    """The power of ten of squared gradients, last layer to first, and whether all is well."""
    drawn = [initlab.probe(start.replace(seed=seed)) for seed in SEEDS]
    ratios = [s.gradient_second_moment[0] / s.gradient_second_moment[-1] for s in drawn]
    healthy = [initlab.diagnose(one).healthy for one in drawn]
    return {"power": round(float(np.log10(np.median(ratios)))), "healthy": sum(healthy) > 1}


def _spelled(fields: dict) -> str:
    """A setting in words: values that are names speak for themselves."""
    return ", ".join(
        value if isinstance(value, str) else f"{name} {value:g}" for name, value in fields.items()
    )


# --- pictures ----------------------------------------------------------------------------------


def neurons() -> dict:
    """Distinct neurons by layer, of a random and of a constant start."""
    random, constant = (
        initlab.probe(Setting(depth=10, initializer=start)).distinct_neurons
        for start in ("glorot_normal", "constant")
    )
    alternative = (
        f"Distinct neurons in layers 1 to 10: {random.min():.0f} of {Setting().width} from random"
        f" weights, {constant.max():.0f} from constant ones."
    )
    curves = {"random weights": (random, 4, -11), "constant weights": (constant, 4, 4)}
    return draw("distinct neurons", curves, alternative, (1, 10, 100), (0.5, 300))


def gradients() -> dict:
    """Squared gradients by layer, relative to the last, at three gains."""
    curves, told = {}, []
    for gain, (layer, up) in {2.0: (2, 5), 1.0: (2, -11), 0.5: (9, -8)}.items():
        gradient = initlab.probe(Setting(depth=30, gain=gain)).gradient_second_moment
        curves[f"gain {gain:g}"] = (gradient / gradient[-1], layer, up)
        told.append(f"times {gradient[0] / gradient[-1]:.0e} at a gain of {gain:g}")
    alternative = f"Squared gradients of tanh, from layer 30 to layer 1: {', '.join(told)}."
    ticks, limits = (1e-16, 1e-8, 1), (1e-20, 1e11)
    return draw("squared gradient, tanh", curves, alternative, ticks, limits)


def signals() -> dict:
    """Mean squares of relu's activations by layer, by He's law and by LeCun's."""
    curves, told = {}, []
    for name, start, up in (("He", "he_normal", 5), ("LeCun", "lecun_normal", 3)):
        setting = Setting(depth=30, activation="relu", initializer=start)
        signal = initlab.probe(setting).activation_second_moment[1:]
        curves[name] = (signal, 16, up)
        told.append(f"times {signal[-1] / signal[0]:.0e} by {name}'s law")
    alternative = f"Mean square of relu activations, from layer 1 to layer 30: {', '.join(told)}."
    return draw("mean square, relu", curves, alternative, (1e-8, 1), (1e-10, 1e3))


def draw(label: str, curves: dict, alternative: str, ticks, limits) -> dict:
    """A small picture for print, with its words.

    Args:
      curves: name -> (a number for each layer, from layer 1; the layer at which the name stands;
        how many points above the curve). Black, told apart by line and name.
    """
    inches = [length / 25.4 for length in MILLIMETERS]
    with rc_context({"font.family": "DejaVu Sans", "font.size": TYPE, "svg.hashsalt": label}):
        figure = Figure(inches)
        axes = figure.add_axes((0.2, 0.17, 0.77, 0.68))
        for (name, (curve, layer, up)), line in zip(curves.items(), ("-", "--", ":"), strict=False):
            axes.plot(np.arange(1, len(curve) + 1), curve, line, color="black", linewidth=1.4)
            place = (layer, curve[layer - 1])
            axes.annotate(name, place, (0, up), textcoords="offset points")
        axes.set(yscale="log", ylim=limits)
        axes.set_yticks(ticks, [f"{tick:g}".replace("e-0", "e-") for tick in ticks])
        axes.set_xticks([1, len(curve)], ["layer 1", f"layer {len(curve)}"])
        axes.get_xticklabels()[-1].set_horizontalalignment("right")
        axes.set_title(label, fontsize=TYPE, loc="right", pad=4)
        axes.minorticks_off()
        axes.spines[["top", "right"]].set_visible(False)
        file = io.StringIO()
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    return {"svg": file.getvalue(), "alternative": alternative}


# --- the page ----------------------------------------------------------------------------------


def compile_page(said: dict, **options) -> bytes:
    """The page as bytes: a PDF that screen readers can read, unless options ask for other."""
    return typst.compile(
        str(SOURCE),
        sys_inputs={"said": json.dumps(said)},
        ignore_system_fonts=True,  # those that come with typst, so that it is one page everywhere
        **({"format": "pdf", "pdf_standards": "ua-1"} | options),
    )


def main() -> None:
    """Write the page."""
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_bytes(compile_page(contents()))
    print(f"{OUT}: one A4 page, ready to print")


if __name__ == "__main__":
    main()
