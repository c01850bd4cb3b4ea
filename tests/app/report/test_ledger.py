"""The ledger: every claim once a kind of data, equal to the README and to what the studies left."""

import json

import pandas as pd
import pytest

from lib.app.report import ledger
from lib.app.report.readme import markers, with_part
from lib.base import paths
from lib.base.errors import SettingError
from lib.evidence.claims import claims_of

BEGIN, END = markers("ledger")
STUDIES = ["humerus", "wrist", "pediatric", "knee", "hand"]
SOURCE = {
    "synthetic": True,
    "profile": "quick",
    "seed": 7,
    "device": "cpu",
    "fingerprint": "abc",
    "files": ["claims.csv"],
}


@pytest.fixture
def figures(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "FIGURES", tmp_path)
    return tmp_path


def leave(folder, study, verdict="inconclusive", drop=0, **changes):
    """What a completed notebook leaves behind, as far as the ledger reads it."""
    claims = claims_of(study)["claim"].iloc[drop:]
    ours = {"verdict": verdict, "evidence": "Dice +0.1 [-0.1, +0.3]", "n": 19, "p": 0.25}
    table = pd.DataFrame({"claim": claims, **ours})
    folder.mkdir(parents=True)
    table.to_csv(folder / "claims.csv", index=False)
    (folder / "provenance.json").write_text(json.dumps({"claims": SOURCE | changes}))


# --- the published ledger ------------------------------------------------------------------------


def test_the_readme_and_the_published_ledger_agree_with_the_results():
    table, text = ledger.ledger(), (paths.ROOT / "README.md").read_text(encoding="utf-8")
    assert with_part(text, "ledger", ledger.markdown(table)) == text, (
        "Fix: python -m lib.app.report.ledger"
    )
    published = pd.read_csv(paths.ROOT / "figures" / "ledger.csv", dtype={"seeds": str})
    same = published.astype(table.dtypes.to_dict())
    pd.testing.assert_frame_equal(same, table, check_exact=True)


def test_all_41_claims_are_listed_in_the_papers_order():
    table = ledger.ledger()
    reference = pd.read_csv(paths.REFERENCE / "claims_all.csv")
    assert len(reference) == 41
    assert table["claim"].unique().tolist() == reference["claim_id"].tolist()
    assert not table.duplicated(["claim", "data"]).any()
    run = table[table["verdict"] != ledger.NOT_RUN]
    needed = ["evidence", "n", "data", "profile", "seeds", "device", "command"]
    assert not run[needed].isna().any().any()


# --- how it is built -----------------------------------------------------------------------------


def test_without_results_every_claim_waits(figures):
    table = ledger.ledger()
    assert table["study"].unique().tolist() == STUDIES
    assert set(table["verdict"]) == {ledger.NOT_RUN} and len(table) == 41
    assert table[ledger.RUN].isna().all().all()
    assert ledger.counts(table) == {
        "not run": "41 claims (humerus, wrist, pediatric, knee, hand)",
    }


def test_phantoms_and_real_images_stand_side_by_side(figures):
    leave(figures / "wrist", "wrist", "reproduced")
    leave(figures / "wrist" / "own", "wrist", "contradicted", synthetic=False, seeds=[7, 8])
    leave(figures / "smoke" / "knee", "knee")
    table = ledger.ledger()
    wrist = table[table["study"] == "wrist"]
    assert len(table) == 46
    assert wrist["claim"].tolist()[:4] == ["W1", "W1", "W2", "W2"]
    assert wrist["data"].tolist()[:2] == ["phantom", "real"]
    phantom, real = wrist.iloc[0], wrist.iloc[1]
    assert phantom["command"] == "./run_all.sh --only wrist --profile quick --seed 7"
    assert real["command"].endswith("--seed 7 --data-root DIR")
    assert (phantom["seeds"], real["seeds"]) == ("7 8 9", "7 8")  # the profile's three, as stated
    assert (phantom["n"], phantom["p"], phantom["fingerprint"]) == (19, 0.25, "abc")
    assert ledger.counts(table)["real"] == "5 claims: 5 contradicted"
    assert (table.loc[table["study"] == "knee", "verdict"] == ledger.NOT_RUN).all()


def test_claims_of_a_run_that_failed_do_not_count(figures):
    leave(figures / "hand", "hand")
    (figures / "hand" / "provenance.json").write_text('{"roc": {"files": ["roc.png"]}}')
    assert set(ledger.ledger()["verdict"]) == {ledger.NOT_RUN}


def test_a_missing_claim_is_an_error_that_names_the_fix(figures):
    leave(figures / "hand", "hand", drop=1)
    with pytest.raises(SettingError, match="--only hand"):
        ledger.ledger()


def test_the_short_table_keeps_every_claim_in_one_line(figures):
    leave(figures / "hand", "hand")
    text = pd.read_csv(figures / "hand" / "claims.csv")
    text["evidence"] = "a | b, " * 40
    text.to_csv(figures / "hand" / "claims.csv", index=False)
    lines = ledger.markdown(ledger.ledger()).splitlines()
    rows = [line for line in lines if line.startswith("| **")]
    assert len(rows) == 41
    hand = [row for row in rows if row.startswith("| **O1")]
    assert hand[0].count("a \\| b") == 17 and " …" in hand[0]
    assert hand[0].endswith("| **inconclusive** |")
    assert {row.replace("\\|", "").count("|") for row in rows} == {6}


def test_the_number_that_decides_is_told_instead_of_the_evidence(figures):
    leave(figures / "hand", "hand")
    text = pd.read_csv(figures / "hand" / "claims.csv")
    text["measure"], text["test"] = "dice, a minus b", "Wilcoxon"
    text[["mean", "low", "high"]] = 0.125, -0.25, 0.5
    text["sd"] = [0.0625, *[float("nan")] * (len(text) - 1)]
    text.to_csv(figures / "hand" / "claims.csv", index=False)
    table = ledger.ledger()
    hand = table[table["study"] == "hand"]
    assert (
        hand["mean"].tolist() == [0.125] * 6 and hand["sd"].isna().tolist() == [False] + [True] * 5
    )
    assert table.loc[table["study"] == "knee", ledger.ESTIMATE].isna().all().all()
    told = ledger.markdown(table)
    assert "dice, a minus b: 0.125 (SD 0.062) [-0.25, 0.5], n = 19, p = 0.25 |" in told
    assert "dice, a minus b: 0.125 [-0.25, 0.5], n = 19" in told


def test_how_a_run_was_made_is_listed_once(figures):
    leave(figures / "wrist", "wrist", seeds=[7, 8], minutes=61.6)
    leave(figures / "hand", "hand")
    assert ledger.runs(ledger.ledger()) == [
        "- wrist, phantom: quick profile, seeds 7 8, cpu, 62 min of training in all: "
        "`./run_all.sh --only wrist --profile quick --seed 7`",
        "- hand, phantom: quick profile, seed 7, cpu: "
        "`./run_all.sh --only hand --profile quick --seed 7`",
    ]


# --- the README ----------------------------------------------------------------------------------


def test_only_what_stands_between_the_markers_changes(figures):
    table = ledger.ledger()
    text = with_part(
        f"before\n{BEGIN}\nstale text\n{END}\nafter\n", "ledger", ledger.markdown(table)
    )
    assert text.startswith(f"before\n{BEGIN}\n**Not run yet**: 41 claims")
    assert text.endswith(f"\n{END}\nafter\n") and "stale text" not in text
    assert with_part(text, "ledger", ledger.markdown(table)) == text


@pytest.mark.parametrize("text", ["", BEGIN, f"{END} {BEGIN}"])
def test_a_readme_without_its_markers_is_an_error(figures, text):
    with pytest.raises(SettingError, match="restore them"):
        with_part(text, "ledger", ledger.markdown(ledger.ledger()))


def test_figures_elsewhere_leave_the_readme_alone(figures):
    leave(figures / "hand", "hand")
    readme = paths.ROOT / "README.md"
    before = readme.read_bytes()
    assert ledger.write() == [figures / "ledger.csv"]
    assert ledger.write() == []
    assert readme.read_bytes() == before


def test_the_repositorys_own_figures_reach_the_readme(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    monkeypatch.setattr(paths, "FIGURES", tmp_path / "figures")
    readme = tmp_path / "README.md"
    readme.write_text(f"{BEGIN}\n{END}\n")
    leave(tmp_path / "figures" / "hand", "hand", "contradicted")
    assert ledger.main() == 0
    assert "6 claims: 6 contradicted" in readme.read_text()
    assert "README.md" in capsys.readouterr().out
    assert ledger.write() == []
    readme.write_text("nothing")
    assert ledger.main() == 2
