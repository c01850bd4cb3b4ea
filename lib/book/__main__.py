"""``python -m lib.book``: write the book from what the last runs left."""

import sys

from lib.book import write_book
from lib.errors import OsteoBookError

try:
    print(write_book())
except OsteoBookError as error:
    sys.exit(f"error: {error}")
