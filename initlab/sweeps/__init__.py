"""Sweeps: grids of settings, measured over devices and hosts, kept in stores."""

from initlab.sweeps.sweeping import sweep as sweep
