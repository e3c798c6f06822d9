"""Sweeps: grids of settings, measured over devices and hosts, kept in stores."""
