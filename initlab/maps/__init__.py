"""Maps of sweeps: any two axes of a grid as a picture, with what theory says of them."""

from initlab.maps.picture import plot_map

__all__ = ["plot_map"]
