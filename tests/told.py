"""What a run of the tests says at its end; see ``conftest.py``."""

import collections

NO_CHROMIUM = (
    "no Chromium could be found or installed, so NO BROWSER TEST RAN; "
    "install one, or set INITLAB_CHROMIUM to the path of one"
)
NO_COLAB = "no environment with Colab's versions, so NOT TRIED THERE; `make test-colab` makes one"

#: of what kind were the examples that were generated and run: "settings" or "hostile"
COUNTS: collections.Counter = collections.Counter()
