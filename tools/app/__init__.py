"""The explorer, served to a class by Voila: `python -m tools.app`."""
