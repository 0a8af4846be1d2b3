import numpy as np

from kinema.evaluation import confusion
from kinema.evaluation.confusion import confusion_plot


def test_a_table_of_confusions_is_drawn_with_names_and_numbers():
    svg = confusion_plot(np.array([[7, 1], [0, 3]]), ["jump", "run & <swim>"])
    assert svg.startswith("<svg")
    assert "jump" in svg
    assert "run &amp; &lt;swim&gt;" in svg
    assert ">7<" in svg


def test_without_matplotlib_there_is_no_plot(monkeypatch):
    monkeypatch.setattr(confusion, "is_installed", lambda _: False)
    assert confusion_plot(np.eye(2, dtype=np.int64), ["a", "b"]) is None
