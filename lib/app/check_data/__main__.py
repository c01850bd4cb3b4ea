"""``python -m lib.app.check_data check <data_root>/<study>``."""

import sys

from lib.app.check_data import main

sys.exit(main())
