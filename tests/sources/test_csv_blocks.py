import csv
import io

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kinema.sources import byte_window, csv_blocks, csv_records
from kinema.sources.blocks import ROW
from kinema.sources.csv_blocks import read_csv_blocks


def read(data, *, names=("a", "b"), delimiter=",", block_bytes=64):
    """Good rows and bad ones of a file, from all its blocks."""
    blocks = list(
        read_csv_blocks(
            io.BytesIO(data),
            names=list(names),
            delimiter=delimiter,
            position=0,
            row=0,
            block_bytes=block_bytes,
        )
    )
    assert [block.done for block in blocks] == [False] * (len(blocks) - 1) + [True]
    assert blocks[-1].position == len(data)
    good = [tuple(one) for block in blocks for one in block.frame.select(*names, ROW).rows()]
    bad = [(place, reason) for block in blocks for place, reason, _ in block.bad]
    return good, bad


@pytest.fixture(params=["fast", "exact"])
def way(request, monkeypatch):
    """Both ways of splitting must agree on these files."""
    if request.param == "exact":
        monkeypatch.setattr(csv_blocks, "_fast", lambda *_: None)


@pytest.mark.parametrize("block_bytes", [5, 16, 4096])
def test_records_are_split_as_csv_says(way, block_bytes):
    data = b'1,x\n2,"a, b"\r\n3,"line\nbreak"\n4,"say ""hi"""\n\n5,\n,6'
    good, bad = read(data, block_bytes=block_bytes)
    assert good == [
        ("1", "x", 1),
        ("2", "a, b", 2),
        ("3", "line\nbreak", 3),
        ("4", 'say "hi"', 4),
        ("5", None, 6),
        (None, "6", 7),
    ]
    assert bad == []


@pytest.mark.parametrize("block_bytes", [7, 4096])
def test_a_bad_line_costs_itself(way, block_bytes):
    data = b"1,x\n2\n3,x,y\n4,caf\xe9\n5,caf\xc3\xa9\n6,a\0b\n7,x\n"
    good, bad = read(data, block_bytes=block_bytes)
    assert good == [("1", "x", 1), ("5", "café", 5), ("7", "x", 7)]
    assert bad == [
        (2, "line must have 2 columns, has 1"),
        (3, "line must have 2 columns, has 3"),
        (4, "line must be UTF-8, is not; convert the file with: iconv -t UTF-8"),
        (6, "line must be text, has a NUL byte"),
    ]


@pytest.mark.parametrize("block_bytes", [9, 4096])
def test_a_quote_that_is_never_closed_costs_one_line(block_bytes):
    lines = [f"{number},x" for number in range(1, 200)]
    lines[49] = '50,"never closed'
    lines[99] = '100,"closed badly" here'
    lines[149] = '150,"fine, quoted"'
    good, bad = read("\n".join(lines).encode(), block_bytes=block_bytes)
    assert bad == [(50, "quote must be closed, is not"), (100, "quote must be closed, is not")]
    assert len(good) == 197
    assert good[147] == ("150", "fine, quoted", 150)


def test_a_quote_inside_a_plain_field_is_a_character():
    good, bad = read(b'1,23" straight\n2,5\'\n3,a "b" c\n')
    assert [one[1] for one in good] == ['23" straight', "5'", 'a "b" c']
    assert bad == []


def test_a_quoted_text_that_swallows_lines_and_does_not_fit_is_given_back():
    good, bad = read(b'1,"open\n2,x\n3,",y,z\n4,x\n', block_bytes=4096)
    assert [one[0] for one in good] == ["2", "4"]
    assert [place for place, _ in bad] == [1, 3]


@pytest.mark.parametrize("size", [10_000, 3_000_000])
@pytest.mark.parametrize("block_bytes", [1 << 16, 1 << 20])
def test_an_endless_line_is_set_aside_and_never_held(monkeypatch, size, block_bytes):
    limit = 5_000
    for module in (byte_window, csv_blocks, csv_records):
        monkeypatch.setattr(module, "MAX_RECORD_BYTES", limit, raising=True)
    good, bad = read(b"1,x\n2," + b"y" * size + b"\n3,z\n", block_bytes=block_bytes)
    assert [one[0] for one in good] == ["1", "3"]
    ((place, reason),) = bad
    assert place == 2
    assert reason.startswith("line must be at most 5,000 bytes, is ")


def test_raw_text_of_a_bad_line_is_short_and_readable():
    block = next(
        read_csv_blocks(io.BytesIO(b"\xff\0" + b"x" * 500 + b"\n"), names=["a", "b"], delimiter=",", position=0, row=0)
    )
    (_, _, shown) = block.bad[0]
    assert len(shown) == 200
    assert shown.startswith("\N{REPLACEMENT CHARACTER}\N{SYMBOL FOR NULL}x")


def test_nothing_is_one_empty_block():
    assert read(b"") == ([], [])
    assert read(b"\n\n") == ([], [])


CELLS = st.text(st.sampled_from('ab,"\n ;é'), max_size=6)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(CELLS, CELLS), max_size=12), st.integers(1, 40))
def test_what_the_csv_module_writes_comes_back(rows, block_bytes):
    target = io.StringIO()
    csv.writer(target, lineterminator="\n").writerows([("x" + one, other + "y") for one, other in rows])
    good, bad = read(target.getvalue().encode(), block_bytes=block_bytes)
    assert [one[:2] for one in good] == [("x" + one, other + "y") for one, other in rows]
    assert bad == []


@settings(max_examples=150, deadline=None)
@given(
    st.binary(max_size=80).map(lambda data: data.replace(b"z", b'"').replace(b"y", b",").replace(b"x", b"\n")),
    st.data(),
)
def test_whatever_the_bytes_reading_on_gives_the_same_as_reading_through(data, draw):
    def blocks(position, row, block_bytes):
        return list(
            read_csv_blocks(
                io.BytesIO(data), names=["a", "b"], delimiter=",", position=position, row=row, block_bytes=block_bytes
            )
        )

    def rows(found):
        good = pl.concat([block.frame for block in found]).rows()
        return good, [one for block in found for one in block.bad]

    whole = blocks(0, 0, draw.draw(st.integers(1, 30)))
    assert rows(whole) == rows(blocks(0, 0, 4096))
    stop = draw.draw(st.integers(0, len(whole) - 1))
    rest = blocks(whole[stop].position, whole[stop].next_row, 16)
    assert rows(whole[: stop + 1])[0] + rows(rest)[0] == rows(whole)[0]
    assert rows(whole[: stop + 1])[1] + rows(rest)[1] == rows(whole)[1]
