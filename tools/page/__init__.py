"""The explorer as one page for a browser, without Python: `make page`, `python -m tools.page`.

A grid of settings is measured beforehand (``grid``), packed small (``packing``), and put into one
HTML file with the charts (``charts``), the guided stories (``stories``), and the scripts that show
them (``*.js``). The file fetches nothing, so it works from a disk, in an LMS, and on a phone.
"""
