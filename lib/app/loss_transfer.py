"""Every study's loss on every other study's task:
``python -m lib.app.loss_transfer --profile quick``.

Writes ``figures/transfer``: the heat map, its table of cells, Dice of each structure, a paragraph;
unless it is the smoke profile, the paragraph also stands in the README.
"""

import argparse
import sys
from pathlib import Path

import pandas as pd

from lib.app.report.readme import write_part
from lib.base import paths
from lib.base.errors import OsteoBookError
from lib.base.files import replacing
from lib.engine.profiles import NAMES


def main(arguments: list[str] | None = None) -> int:
    """Train what is missing, write, print the paragraph; exit code 0, or 2 with a message."""
    parser = argparse.ArgumentParser(
        prog="python -m lib.app.loss_transfer",
        description="Loss transfer matrix: five tasks, eight losses, one small U-Net, on phantoms.",
    )
    add = parser.add_argument
    add("--profile", choices=NAMES, default="quick", help="size of the study (quick)")
    add("--seed", type=int, default=42, metavar="N", help="of split and first training (42)")
    add("--device", choices=("auto", "cpu", "cuda"), default="auto")
    add("--figures-only", action="store_true", help="draw from stored results, train nothing")
    options = parser.parse_args(arguments)
    try:
        print(transfer(options.profile, options.seed, options.device, options.figures_only))
    except OsteoBookError as error:
        print(f"lib.app.loss_transfer: error: {error}", file=sys.stderr)
        return 2
    return 0


def transfer(profile: str, seed: int, device: str, figures_only: bool = False) -> str:
    """Everything of the module, in one call; returns the paragraph."""
    from lib.engine.trials import collect, run_record
    from lib.studies.loss_transfer import STUDY
    from lib.studies.loss_transfer.results import by_structure, cells, paragraph
    from lib.training.loop import pick_device

    sources = STUDY.sources("", profile, seed)
    stages = STUDY.trials(profile, seed, pick_device(device), sources)
    (folders,) = STUDY.run(stages, sources, cached_only=figures_only)
    metrics = collect(folders, "metrics")
    table = cells(metrics)
    text = paragraph(table, stages[0][0].epochs * stages[0][0].steps)
    data = {task: source.fingerprint for task, source in sources.items()}
    source = {"profile": profile, "seed": seed, "data": data} | run_record(folders)
    place = paths.figure_place("transfer", profile, False)
    write(place, table, by_structure(metrics), text, source)
    if profile != "smoke":
        write_part("transfer", text.strip())
    return text


def write(
    place: str, table: pd.DataFrame, structures: pd.DataFrame, text: str, source: dict
) -> Path:
    """transfer.png, .svg and .csv (all cells), results.csv (each structure), paragraph.md."""
    from lib.figures import save, save_table
    from lib.studies.loss_transfer.figures.heat_map import heat_map

    kept = {"synthetic": True, "provenance": source}
    figure = heat_map(table[table["baseline"] == "dice_bce"])
    picture = save(figure, place, "transfer", table, **kept)
    save_table(structures, place, "results", **kept)
    with replacing(picture.with_name("paragraph.md")) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return picture


if __name__ == "__main__":
    sys.exit(main())
