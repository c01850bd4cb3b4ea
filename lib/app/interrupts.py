"""Interrupting a run ends every process that it has started."""

import logging
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def no_orphans() -> Iterator[None]:
    """Let SIGINT and SIGTERM raise KeyboardInterrupt, and end every process started meanwhile.

    A kernel has its own process group, so the terminal's Ctrl-C does not reach it; its workers
    are found now because nobody can find them once the kernel is gone.
    """
    import psutil

    started = []

    def interrupt(*_) -> None:
        started.extend(psutil.Process().children(recursive=True))
        logging.getLogger("asyncio").disabled = True  # it would report the abandoned cell
        raise KeyboardInterrupt

    previous = {
        number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
        for process in started:
            with suppress(psutil.NoSuchProcess):
                process.kill()
