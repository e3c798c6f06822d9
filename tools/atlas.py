"""Make the README's atlas, every initializer with every activation: `make atlas`."""

import numpy as np

import initlab
from tools import lab

PICTURE = lab.ROOT / "docs" / "pictures" / "atlas.png"
DPI = 110
GRID = {"depth": 30, "width": 64, "initializer": "all", "activation": "all", "seed": range(3)}


def measure():
    """The sweep of all pairs, with what the diagnosis says of every start."""
    batch = initlab.data.digits(256)
    atlas = initlab.sweep(batch, measures="gradient_second_moment", **GRID)
    healthy = np.zeros(atlas.gradient_ratio.shape, bool)
    for place in np.ndindex(healthy.shape):
        chosen = {
            axis: atlas[axis].values[index].item()
            for axis, index in zip(atlas.gradient_ratio.dims, place, strict=True)
        }
        setting = initlab.Setting(depth=GRID["depth"], width=GRID["width"], **chosen)
        healthy[place] = initlab.diagnose(initlab.probe(setting, batch)).healthy
    return atlas.assign(healthy=(atlas.gradient_ratio.dims, healthy))


def say_healthy(atlas) -> str:
    """Which activations each initializer is healthy with, in most seeds."""
    told = []
    for row in atlas.healthy.mean("seed") > 0.5:
        fine = [str(name) for name in row.activation.values[row.values]]
        told.append(f"{row.initializer.item()} with {', '.join(fine) or 'none'}")
    return f"Healthy: {'; '.join(told)}."


def main() -> None:
    """Write the picture, and print its words."""
    atlas = measure()
    figure = initlab.plot_map(
        atlas, "gradient_ratio", x="activation", y="initializer", marked="healthy"
    )
    figure.savefig(PICTURE, dpi=DPI)
    print(figure.alternative_text, say_healthy(atlas), sep="\n")


if __name__ == "__main__":
    main()
