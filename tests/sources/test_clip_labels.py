import json

import polars as pl
import pytest

from kinema.errors import ConfigError, DataError
from kinema.sources.clip_labels import labels_from_items, labels_from_names, labels_from_table


def test_names_of_the_ucf_kind_tell_label_and_recording():
    names = ["a/v_HighJump_g01_c01.avi", "a/v_HighJump_g01_c02.avi", "a/v_Run_g12_c01.avi", "other.mp4"]
    found = labels_from_names(names)
    assert found.labels_N == ("HighJump", "HighJump", "Run", None)
    assert found.groups_N == ("HighJump/g01", "HighJump/g01", "Run/g12", "")
    assert found.how == "names like v_Label_g01_c01.avi"


def test_folders_are_labels_where_there_are_several_and_numbered_names_else():
    assert labels_from_names(["jump/clip_1.mp4", "run/clip_2.mp4", "top.mp4"]).labels_N == ("jump", "run", None)
    one = labels_from_names(["all/long_jump_12.mp4", "all/run-3.mp4", "all/007.mp4"])
    assert one.labels_N == ("long_jump", "run", None)
    assert one.how == "names like label_12.mp4"


def test_a_pattern_of_ones_own_may_tell_groups():
    found = labels_from_names(["p1-wave.mp4", "p2-wave.mp4"], r"(?P<group>p\d)-(?P<label>\w+)\.")
    assert (found.labels_N, found.groups_N) == (("wave", "wave"), ("p1", "p2"))
    assert labels_from_names(["v_Run_g01_c01.avi"], "(?P<label>Run)").groups_N == ("Run/g01",)


def test_a_pattern_that_cannot_tell_a_label_is_refused():
    with pytest.raises(ConfigError, match=r"--name-pattern must be a regular expression, '\(' is none"):
        labels_from_names(["a.mp4"], "(")
    with pytest.raises(ConfigError, match=r"must be auto, ucf, folder, numbered or a regular expression with"):
        labels_from_names(["a.mp4"], "foldr")


def test_a_table_names_clips_by_id_path_or_file_name(tmp_path):
    table = tmp_path / "labels.csv"
    table.write_text("clip,action\nid0,jump\nx/b.mp4,run\nc,swim\n./x/d.mp4,dive\nnobody,run\ndouble,run\ne,\n")
    ids = ["id0", "id1", "id2", "id3", "id4", "id5", "id6"]
    names = ["x/a.mp4", "x/b.mp4", "x/c.mp4", "x/d.mp4", "x/double.mp4", "y/double.mp4", "x/e.mp4"]
    found = labels_from_table(table, column="action", ids=ids, names=names)
    assert found.labels_N == ("jump", "run", "swim", "dive", None, None, None)
    assert found.notices == ("2 rows of 'labels.csv' name no clip that is here",)
    assert found.how == "column action of labels.csv"


def test_clips_with_two_labels_and_lines_that_cannot_be_split_are_counted(tmp_path):
    table = tmp_path / "labels.csv"
    table.write_text("name,action\na,jump\na,run\nb,run\nb,run\nc,run,too,many\n")
    found = labels_from_table(table, column="action", ids=["a", "b"], names=["a", "b"], key="name")
    assert found.labels_N == (None, "run")
    assert any("1 clips have more than one label" in one for one in found.notices)
    assert any("could not be read" in one for one in found.notices)


def test_tables_without_the_column_or_without_a_clip_are_refused(tmp_path):
    table = tmp_path / "labels.csv"
    table.write_text("what,action\nzzz,jump\n")
    known = {"ids": ["a"], "names": ["a.mp4"]}
    with pytest.raises(
        ConfigError, match=r"--column must be a column of 'labels.csv', is 'label'; it has what, action"
    ):
        labels_from_table(table, column="label", **known)
    with pytest.raises(ConfigError, match=r"--key must be a column of 'labels.csv', is 'item'"):
        labels_from_table(table, column="action", **known)
    with pytest.raises(DataError, match=r"must name clips in column 'what' by item id or path, names none of the 1"):
        labels_from_table(table, column="action", key="what", **known)


def test_a_column_of_the_catalogue_may_be_a_list_a_text_or_an_attribute():
    items = pl.DataFrame(
        {
            "categories": [["sport", "run"], [], None],
            "language": ["en", "", None],
            "attributes": [json.dumps({"mood": "calm"}), "", json.dumps({"mood": 3})],
        }
    )
    names = ["", "", ""]
    assert labels_from_items(items, column="category", names=names).labels_N == ("sport", None, None)
    assert labels_from_items(items, column="language", names=names).labels_N == ("en", None, None)
    assert labels_from_items(items, column="mood", names=names).labels_N == ("calm", None, "3")
    with pytest.raises(ConfigError, match=r"must be a column of the catalogue, is 'x'; it has categories, .*, mood"):
        labels_from_items(items, column="x", names=names)
