"""Click prediction learns from a part of a real log (Frappe): far better than chance, and crosses of fields matter."""

from kinema.sources.whole_tables import read_whole_table
from kinema.tasks.click import ClickLearner, read_labels
from kinema.tasks.click_networks import ClickConfig, usual_l2
from kinema.tasks.field_specs import complete_specs
from kinema.tasks.fields import fit_fields
from kinema.training.fitting import FitOptions, fit


def test_factors_tell_clicks_that_single_values_do_not(data_dir):
    folder = data_dir / "frappe_x1"
    train = read_whole_table(folder / "train_redrawn_negatives.csv.gz")[0][:15_000]
    valid = read_whole_table(folder / "valid.csv.gz")[0][:5_000]
    specs = complete_specs(train, (), label="label")
    assert {one.kind for one in specs} == {"category"}
    fields = fit_fields(train, specs)
    rows = {name: (fields.apply(frame), read_labels(frame, "label")) for name, frame in (("t", train), ("v", valid))}
    aucs = {}
    for model in ("lr", "fm"):
        config = ClickConfig(model=model, embedding_l2=usual_l2(model))
        learner = ClickLearner(config, fields, train=rows["t"], valid=rows["v"])
        found = fit(learner, FitOptions("auc", batch_size=128, learning_rate=0.005, max_epochs=4))
        aucs[model] = found.metrics["auc"]
    assert 0.84 < aucs["lr"] < aucs["fm"] < 0.99
