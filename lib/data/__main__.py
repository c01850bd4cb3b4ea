"""``python -m lib.data check <data_root>/<study>``."""

import sys

from lib.data.check import main

sys.exit(main())
