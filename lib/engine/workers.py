"""Run independent jobs in local processes, with a progress bar and no orphans."""

import multiprocessing
import os
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, wait
from pathlib import Path

from tqdm import tqdm

from lib.base.errors import OsteoBookError

POLL_SECONDS = 0.5


def run_in_processes(
    function: Callable,
    jobs: list[tuple],
    workers: int | None = None,
    progress: tuple[int, Callable[[], int]] | None = None,
    what: str = "training",
    unit: str = "epoch",
    names: list[str] | None = None,
) -> list:
    """Call ``function(*job)`` for each job and return the results in order.

    Every process computes with one thread, so workers never exceed the cores and results do not
    depend on how many cores there are.

    Args:
        function: importable by name.
        jobs: arguments of each call.
        workers: processes; default: one per core.
        progress: total of some unit, and a function telling how much of it is done.
        what: what is being done, shown in errors and, with its ``unit``, in the progress bar.
        names: of the jobs, for errors.

    Raises:
        OsteoBookError: if jobs failed; all others are finished first.
    """
    if not jobs:
        return []
    _check_main(what)
    workers = min(workers or os.cpu_count() or 1, len(jobs))
    pool = ProcessPoolExecutor(
        workers, multiprocessing.get_context("spawn"), start_worker, (os.getpid(),)
    )
    try:
        futures = [pool.submit(function, *job) for job in jobs]
        progress = progress or (len(jobs), lambda: sum(f.done() for f in futures))
        _watch(futures, *progress, desc=what, unit=unit)
    except BaseException:
        # Ctrl-C, or a stopped notebook: nobody wants the rest any more.
        for process in list(pool._processes.values()):
            process.kill()
        pool.shutdown(cancel_futures=True)
        raise
    pool.shutdown()
    failed = [i for i, future in enumerate(futures) if future.exception()]
    if failed:
        first = futures[failed[0]].exception()
        name = names[failed[0]] if names else f"job {failed[0]}"
        raise OsteoBookError(
            f"{what}: {len(failed)} of {len(jobs)} jobs failed, the others are kept. "
            f"First: {name}: {type(first).__name__}: {first}"
        ) from first
    return [future.result() for future in futures]


def _check_main(what: str) -> None:
    """Every process imports the caller's script again, which must not start this all over.

    Raises:
        OsteoBookError: if the script is no file, or runs this call when it is imported.
    """
    script = getattr(sys.modules["__main__"], "__file__", None)
    if script is not None and not Path(script).exists():
        origin = f"a script read from {script}"
    elif getattr(multiprocessing.current_process(), "_inheriting", False):
        origin = f"a call that {script} makes when it is imported"
    else:
        return
    raise OsteoBookError(
        f"{what} in processes: found {origin}; expected a file that works under "
        '`if __name__ == "__main__":`. Fix: write that line above the call.'
    )


def _watch(futures: list, total: int, done: Callable[[], int], **labels) -> None:
    """Show a text bar until every future is done."""
    with tqdm(total=total, mininterval=2, file=sys.stdout, **labels) as bar:
        while wait(futures, timeout=POLL_SECONDS).not_done:
            bar.update(done() - bar.n)
        bar.update(done() - bar.n)


def start_worker(parent: int) -> None:
    """Deterministic, one thread, no returned memory, and an end when the parent ends."""
    import cv2
    import torch

    from lib.training.loop import keep_freed_memory, set_deterministic

    set_deterministic()
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    keep_freed_memory()
    threading.Thread(target=_die_with, args=(parent,), daemon=True).start()


def _die_with(parent: int) -> None:
    """A killed notebook cannot stop its workers, so they look for it themselves."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)
