"""The documentation's site: gathers its sources, draws the catalogue, and has Sphinx build it."""
