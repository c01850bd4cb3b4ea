"""``python -m lib.app.report.book``: write the book from what the last runs left."""

import sys

from lib.app.report.book import write_book
from lib.base.errors import OsteoBookError

try:
    print(write_book())
except OsteoBookError as error:
    sys.exit(f"error: {error}")
