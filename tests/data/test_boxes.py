"""YOLO boxes: strict reading, filled rectangles."""

import numpy as np
import pytest

from lib.base.errors import DataError
from lib.data.boxes import boxes_to_mask, read_boxes


def written(tmp_path, text):
    path = tmp_path / "a.txt"
    path.write_text(text)
    return path


def test_boxes_are_read_as_written(tmp_path):
    path = written(tmp_path, "1 0.5 0.25 0.5 0.5\n\n3 0.1 0.2 0.03 0.04")
    np.testing.assert_array_equal(
        read_boxes(path), [[1, 0.5, 0.25, 0.5, 0.5], [3, 0.1, 0.2, 0.03, 0.04]]
    )


@pytest.mark.parametrize("text", ["", "\n", "  \n\n"])
def test_empty_file_has_no_boxes(tmp_path, text):
    assert read_boxes(written(tmp_path, text)).shape == (0, 5)


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("0 0.5 0.5 0.2", "not five numbers"),
        ("0 0.1 0.1 0.9 0.1 0.9 0.9 0.1 0.9", "not five numbers"),
        ("0 0.5 0.5 0.2 wide", "not five numbers"),
        ("0 0.5 nan 0.2 0.2", "not five numbers"),
        ("0.5 0.5 0.5 0.2 0.2", "a class that is no whole number"),
        ("-1 0.5 0.5 0.2 0.2", "a class that is no whole number"),
        ("0 0.5 0.5 0.2 0", "a box without size"),
        ("0 0.5 0.5 -0.1 0.2", "a box without size"),
        ("0 0.95 0.5 0.2 0.2", "a box outside the image"),
        ("0 0.5 0.05 0.2 0.2", "a box outside the image"),
        ("0 1.5 0.5 0.2 0.2", "a box outside the image"),
        ("0 250 130 40 40", "a box outside the image"),
    ],
)
def test_bad_line_is_named_with_its_number(tmp_path, line, found):
    path = written(tmp_path, f"0 0.5 0.5 0.1 0.1\n{line}\n")
    with pytest.raises(DataError, match=rf"a\.txt, line 2: found {found}.*Fix: correct or delete"):
        read_boxes(path)


def test_all_bad_lines_are_named_at_once(tmp_path):
    with pytest.raises(DataError) as error:
        read_boxes(written(tmp_path, "0 2 0.5 0.1 0.1\n0 0.5 0.5 0.1 0.1\nx\n"))
    assert ["line 1" in str(error.value), "line 2" in str(error.value)] == [True, False]
    assert "line 3" in str(error.value)


@pytest.mark.parametrize("content", [b"0 0.5 0.5 \xfc 0.1", "0 0 0 1 1".encode("utf-16")])
def test_file_that_is_no_text_is_named(tmp_path, content):
    (tmp_path / "a.txt").write_bytes(content)
    with pytest.raises(DataError, match=r"a\.txt: found bytes that are no UTF-8 text.*Fix: save"):
        read_boxes(tmp_path / "a.txt")


def test_byte_order_mark_of_an_editor_is_ignored(tmp_path):
    (tmp_path / "a.txt").write_text("0 0.5 0.5 0.2 0.2", encoding="utf-8-sig")
    assert read_boxes(tmp_path / "a.txt").tolist() == [[0, 0.5, 0.5, 0.2, 0.2]]


def test_rounding_at_the_edge_is_allowed(tmp_path):
    boxes = read_boxes(written(tmp_path, "0 0.0995 0.5 0.2 1.0005"))
    mask = boxes_to_mask(boxes, (10, 20))
    np.testing.assert_array_equal(mask, np.arange(20)[None, :].repeat(10, 0) < 4)


def test_filled_rectangles_by_hand():
    # 8 rows x 10 columns: rows 2..5, columns 1..3, and one box of less than a pixel at (7, 9)
    boxes = np.array([[0, 0.25, 0.5, 0.3, 0.5], [2, 0.999, 0.999, 0.001, 0.001]])
    expected = np.zeros((8, 10), bool)
    expected[2:6, 1:4] = True
    expected[7, 9] = True
    np.testing.assert_array_equal(boxes_to_mask(boxes, (8, 10)), expected)


def test_no_boxes_are_no_foreground_and_overlap_is_foreground_once():
    assert not boxes_to_mask(np.zeros((0, 5)), (4, 4)).any()
    boxes = np.array([[0, 0.5, 0.5, 0.5, 0.5], [1, 0.5, 0.5, 0.5, 0.5]])
    assert boxes_to_mask(boxes, (4, 4)).sum() == 4
