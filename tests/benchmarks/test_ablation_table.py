import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def table(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import ablation_table  # noqa: PLC0415  # benchmarks are scripts, found only here

    yield ablation_table
    sys.modules.pop("ablation_table", None)


@pytest.fixture
def ablation(table, monkeypatch):
    import ablation  # noqa: PLC0415  # the same

    yield ablation
    sys.modules.pop("ablation", None)


def row(value, cold=None):
    rows = {"all": {"ndcg@10": value}} | ({} if cold is None else {"cold": {"ndcg@10": cold}})
    return {"0": {"epochs": 3, "rows": rows}}


def test_the_table_says_of_every_part_where_it_pays_and_what_its_default_is(table):
    parts = {
        "without memory": table.Part({}),
        "without profiles": table.Part({}, kept_for="strangers"),
        "without luck": table.Part({}),
        "LiGR blocks": table.Part({}, is_default=False),
        "full softmax": table.Part({}, is_default=False),
        "without order": table.Part({}),
    }
    films = {"all": row(0.1), "without memory": row(0.05), "without profiles": row(0.1), "LiGR blocks": row(0.12)}
    clips = {"all": row(0.1, 0.04), "without memory": row(0.1, 0.06), "without luck": row(0.101, 0.04)}
    results = {
        "what": "60 s.",
        "sets": {"films": films, "clips": clips | {"full softmax": row(0.08, 0.09)}},
        "errors": {"films": {"all": 0.01, "cold": 0.2}, "clips": {"all": 0.005, "cold": 0.01}},
    }
    text = "\n".join(table.table_lines(results, parts))
    assert "| without memory | 3 | 0.0500 |" in text
    assert "| memory | on | **+0.0500** / - | +0.0000 / **-0.0200** | pays on films, costs on clips (cold) |" in text
    assert "| profiles | on | +0.0000 / - | - / - | pays nowhere; kept for strangers |" in text
    assert "| luck | on | - / - | -0.0010 / +0.0000 | pays nowhere: should be off |" in text
    assert "| LiGR blocks | off | **+0.0200** / - | - / - | would pay on films |" in text
    assert (
        "| full softmax | off | - / - | **-0.0200** / **+0.0500** | would pay on clips (cold), costs on clips |" in text
    )
    assert "| order | on | - / - | - / - | not measured |" in text


def test_every_part_of_the_benchmark_is_a_setting_that_changes_the_default(ablation):
    config = pytest.importorskip("kinema.flm.config")
    default = config.FLMConfig()
    for title, part in ablation.PARTS.items():
        assert default.with_changes(**part.changes) != default, title
    switched_off = {name for part in ablation.PARTS.values() for name in part.changes}
    assert {
        name for name in config.FLMConfig.__dataclass_fields__ if name.startswith(("weight_s", "weight_c"))
    } <= switched_off
    for terms, known in (("collab_terms", config.COLLAB_TERMS), ("content_terms", config.CONTENT_TERMS)):
        left_out = [set(known) - set(one.changes[terms]) for one in ablation.PARTS.values() if terms in one.changes]
        assert all({one} in left_out for one in known)
