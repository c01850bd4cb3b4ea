"""Checklists: every item once, filled from what is known, and nothing made up."""

import json

import pandas as pd
import pytest

from lib.app.report import checklists
from lib.app.report.checklists import (
    NO_PATIENTS,
    NOT_STATED,
    OF_PATIENTS,
    STATED,
    checklist,
    own_answers,
)
from lib.base import paths
from lib.engine.profiles import NAMES
from lib.evidence.claims import claims_of
from lib.studies.registry import STUDIES

SOURCE = {
    "synthetic": True, "profile": "quick", "seed": 7, "device": "cpu", "fingerprint": "abc",
    "files": ["claims.csv"], "data": "Synthetic: made up.", "weights": "none",
    "versions": {"torch": "2.0", "numpy": "1.0"},
}  # fmt: skip
UNKNOWN = [item for item in OF_PATIENTS if item != 12]  # on real images


@pytest.fixture
def figures(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "FIGURES", tmp_path)
    return tmp_path


def leave(folder, study, **changes):
    """What a completed notebook leaves, with one number that decides."""
    ours = {"verdict": "inconclusive", "evidence": "x", "n": 19, "p": 0.25}
    ours |= {"measure": "", "mean": float("nan"), "sd": float("nan"), "test": ""}
    ours |= {"low": float("nan"), "high": float("nan")}
    table = pd.DataFrame({"claim": claims_of(study)["claim"], **ours})
    table.loc[1, ["measure", "test"]] = "f1, a minus b", "Wilcoxon signed-rank (3 pairs)"
    table.loc[1, ["mean", "low", "high"]] = 0.25, -0.125, 0.5
    folder.mkdir(parents=True)
    table.to_csv(folder / "claims.csv", index=False)
    (folder / "provenance.json").write_text(json.dumps({"claims": SOURCE | changes}))


def answers(study):
    return checklist(study).set_index("item")


# --- items and texts


def test_all_42_items_stand_in_their_order_for_every_study(figures):
    for study in STUDIES:
        table = checklist(study)
        assert table["item"].tolist() == list(range(1, 43))
        assert (table["state"].isin([STATED, NOT_STATED, NO_PATIENTS])).all()
        assert ((table["answer"] != "") == (table["state"] == STATED)).all()
        assert ((table["source"] != "") == (table["state"] == STATED)).all()


def test_every_study_answers_the_same_items_about_its_design():
    beyond_the_task = {9, 11, 13}  # where what its task says is not all
    common = [own_answers(study).keys() - beyond_the_task for study in STUDIES]
    assert all(items == common[0] for items in common)


@pytest.mark.parametrize("study", STUDIES)
def test_numbers_come_from_the_profile(study):
    for profile in NAMES:
        settings = pd.json_normalize(STUDIES[study].settings(profile)).to_dict("records")[0]
        told = dict.fromkeys(("weights", "seen", "refused"), "x") | settings
        for text in own_answers(study).values():
            assert "{" not in text.format(**told)


# --- a run


def test_a_study_that_has_not_run_states_its_design_and_no_result(figures):
    found = answers("knee")
    assert (found.loc[[20, 21, 22, 28], "state"] == STATED).all()
    assert (found.loc[[7, 19, 23, 24, 29, 35, 36, 41, 42], "state"] == NOT_STATED).all()
    assert (found.loc[UNKNOWN, "state"] == NOT_STATED).all()
    assert found.loc[25, "answer"].startswith("paper profile: image_size = 512")


def test_a_run_on_phantoms_tells_its_data_tests_and_numbers(figures):
    leave(figures / "wrist", "wrist")
    leave(figures / "wrist" / "own", "wrist", synthetic=False, fingerprint="own")
    found = answers("wrist")
    assert found.loc[7, "answer"] == "Synthetic: made up. Fingerprint abc"
    assert found.loc[23, "answer"] == "torch 2.0, numpy 1.0"
    assert found.loc[24, "answer"] == "random"
    assert "Wilcoxon signed-rank on subjects" in found.loc[29, "answer"]
    assert found.loc[35, "answer"].startswith("Test part")
    assert found.loc[35, "answer"].endswith("Claims: 5 inconclusive")
    assert found.loc[36, "answer"] == "W2 f1, a minus b: 0.25 [-0.125, 0.5]"
    assert found.loc[25, "answer"].startswith("quick profile: image_size = 96")
    assert "3 trainings a method" in found.loc[27, "answer"]
    assert "a simulated reader" in found.loc[14, "answer"]
    assert found.loc[18, "state"] == STATED
    others = [item for item in OF_PATIENTS if item != 18]
    assert (found.loc[others, "state"] == NO_PATIENTS).all()
    assert found.loc[32, "answer"].endswith("on real images. Claims: 5 inconclusive")
    assert (found.loc[[40, 42], "state"] == NOT_STATED).all()


def test_phantoms_are_exact_and_no_data_from_elsewhere(figures):
    leave(figures / "knee", "knee", weights=["imagenet", "none"])
    found = answers("knee")
    assert found.loc[14, "answer"].endswith("exact, as the generator knows it")
    assert found.loc[24, "answer"] == "imagenet, random"
    assert found.loc[32, "answer"].startswith("None:")
    assert "phantoms" not in found.loc[25, "answer"] and "weights" not in found.loc[25, "answer"]


def test_nested_settings_are_told_one_by_one(figures):
    told = answers("pediatric").loc[25, "answer"]
    assert "{" not in told and "folds = " in told


def test_on_real_images_what_nobody_said_is_not_stated(figures):
    leave(figures / "wrist" / "own", "wrist", synthetic=False, data="The user's own images.")
    found = answers("wrist")
    assert found.loc[7, "answer"].startswith("The user's own images.")
    assert (found.loc[UNKNOWN, "state"] == NOT_STATED).all()
    assert found.loc[12, "state"] == STATED  # how names are kept out is known
    assert "generator" not in found.loc[14, "answer"]


def test_title_and_limits_are_those_of_the_notebook(figures):
    found = answers("humerus")
    assert found.loc[1, "answer"].startswith("Humerus: losses")
    assert "Not for clinical use." in found.loc[38, "answer"]
    assert not {"*", "`", "\n"} & set(found.loc[38, "answer"])
    assert found.loc[3, "answer"].startswith("As the paper claims: ")


def test_the_command_writes_what_changed(figures, capsys):
    assert checklists.main() == 0
    assert capsys.readouterr().out.count("written:") == 5
    stored = pd.read_csv(figures / "hand" / "checklist.csv", keep_default_na=False)
    pd.testing.assert_frame_equal(stored, checklist("hand"), check_dtype=False)
    assert checklists.write() == []


def test_the_published_checklists_are_those_of_the_published_results():
    for study in STUDIES:
        path = paths.ROOT / "figures" / study / "checklist.csv"
        stored = pd.read_csv(path, keep_default_na=False)
        fix = "Fix: python -m lib.app.report.checklists"
        pd.testing.assert_frame_equal(stored, checklist(study), check_dtype=False, obj=fix)
