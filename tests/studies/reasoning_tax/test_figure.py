"""The headline figure, the tables and the page of made-up runs of fine-tuning arms."""

from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text

from alchemy.figures.draw import every_picture, finish, styled
from alchemy.results.records import COORDINATES, write_records
from alchemy.results.runs import read_results
from alchemy.results.table import load, seed_values, summarise
from alchemy.studies.reasoning_tax import trajectories as tax
from alchemy.studies.reasoning_tax.coordinates import Part
from alchemy.studies.reasoning_tax.figure import headline
from alchemy.studies.reasoning_tax.style import ARMS, KEEPS
from alchemy.studies.reasoning_tax.verdicts import verdicts
from tests.helpers.arms import ALL, PLAN, SETTINGS, planned, table
from tests.helpers.made import change_run, make_tax, tax_records
from tests.helpers.pictures import inside_and_apart

FEW = ("gold", "direct", "foreign", "rlvr")
FIRST = "foreign chains cost more than rewards"  # the primary prediction


def drawn(*frames):
    with styled():
        figure = headline(tax.tax_of(pd.concat(frames), PLAN))
        figure.canvas.draw()
    return figure


def titles(figure):
    found = [ax.get_title(loc="left").replace("\n", " ") for ax in figure.axes]
    return {title[0]: title[3:] for title in found if title}


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tax")
    make_tax(folder, range(6), SETTINGS["predictions"], arms=FEW, keeps=("none", "lower"))
    return folder


def test_a_sweep_ends_in_its_figure_tables_and_page(sweep, capsys):
    assert finish(sweep) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[-1] == str(sweep / "headline.png")
    assert any(line.removeprefix(FIRST).split()[:1] == ["supported"] for line in said if line.startswith(FIRST))
    judged = pd.read_csv(sweep / "verdicts.csv").set_index("name")
    assert judged.loc[FIRST, "estimate"] == pytest.approx(0.3, abs=0.06)
    numbers = ["estimate", "low", "high", "p", "p_adjusted", "equivalence_p"]
    more = ["above", "below", "compared", "power", "sentence", "role", "unit", "sesoi", "by_seed"]
    assert list(judged.columns) == ["source", "says", *numbers, "verdict", "seeds", *more]
    for row in judged[judged["seeds"] > 0].to_dict("records"):
        assert list(seed_values(row["by_seed"])) == list(range(6))
    rows = pd.read_csv(sweep / "table.csv").set_index(["arm", "keep", "load"])
    assert len(rows) == len(FEW) + 2  # the arms, gold with its lower half frozen, and gold at another load
    for match in ("opening", "kl", "norm"):
        for row in rows.to_dict("records"):
            each = row[f"lost_bits@{match}_by_seed"]
            assert row[f"seeds@{match}"] == (len(seed_values(each)) if isinstance(each, str) else 0)
    assert rows.loc[("gold", "lower", 0.1), "lost_bits@opening"] < rows.loc[("gold", "none", 0.1), "lost_bits@opening"]
    assert "never reached" in rows.loc[("direct", "none", 0.1), "reason@opening"]
    page = (sweep / "report.html").read_text(encoding="utf-8")
    assert "data:image/png;base64," in page
    assert "RL&#x27;s Razor" in page or "RL's Razor" in page
    assert "its opening rate never reached 0.5" in page
    assert "http" not in page.replace("http-equiv", "")


def test_it_can_be_drawn_again_for_print(sweep):
    assert finish(sweep, "svg") == 0
    assert (sweep / "headline.svg").stat().st_size > 10_000


def test_the_headline_is_the_only_picture(sweep):
    assert [name for name, _ in every_picture(read_results(sweep))] == ["headline"]


def test_bits_are_no_share_in_the_table_of_cells(sweep):
    cells = summarise(load(sweep, {number: {} for number in range(6)}))
    bits = cells[(cells["metric"] == "bits") & (cells["step"] == 0) & (cells["load"] == 0.1)]
    assert (bits["low"] > 5).all()
    lost = cells[(cells["part"] == "knowledge") & (cells["metric"] == "free")]
    assert lost["high"].max() <= 1


def test_panels_say_what_is_in_them():
    said = titles(drawn(table(3, arms=ALL), table(3, arms=("gold",), load=0.02)))
    assert sorted(said) == [*"abcdef"]
    assert said["a"].endswith("of 5.50 bits lost at opening 0.5")
    assert said["b"].startswith("One KL curve explains 9")
    assert said["c"].endswith("of the loss of free accuracy is latent")
    assert said["d"].startswith("gold: lower half returns 9")
    assert said["e"].startswith("Kept by load, gold: 100% at 0.02, 8")
    assert said["f"].startswith("Greedy chains begin at 0.1")


def test_every_panel_has_its_control():
    figure = drawn(table(3, arms=ALL), table(3, arms=("gold",), load=0.02))
    words = " ".join(text.get_text() for ax in figure.axes for text in ax.texts)
    for control in ("control: load 0.02", "p*", "as sampled", "compared at 0.5"):
        assert control in words
    ticks = [label.get_text() for ax in figure.axes for label in ax.get_xticklabels()]
    assert {"random", "halfway", "lower", "upper", "(direct)", "(random)", "gold"} <= {*ticks}
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert sum(name.startswith("control: ") for name in names) == 3


LONG = ("an_arm_of_a_very_long_name_that_nobody_foresaw_at_all", "gold", "$another_$arm")
FRAMES = {
    "usual": lambda: (table(3, arms=ALL), table(3, arms=("gold",), load=0.02)),
    "one arm": lambda: (table(1, arms=("random",)),),
    "every arm": lambda: (table(2, arms=tuple(ARMS)), table(2, arms=("gold", "rlvr"), load=0.02)),
    "every preservation": lambda: (table(2, arms=("gold", "rlvr"), keeps=("none", *KEEPS)),),
    "long names": lambda: (table(2, arms=LONG, keeps=("none", "some_very_long_method_of_preservation_as_well")),),
}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name == "long names" else pytest.mark.slow) for name in FRAMES]
)
def test_no_word_is_beyond_the_edge_or_over_another(name):
    assert inside_and_apart(drawn(*FRAMES[name]())) == []


def test_what_is_not_there_is_said_in_words():
    figure = drawn(table(1, arms=("random",)))
    said = titles(figure)
    assert said["a"] == "No arm opens chains at 0.5"
    assert said["d"].endswith("not measured")
    assert said["e"].endswith("not measured")
    assert any("python -m alchemy" in text.get_text() for ax in figure.axes for text in ax.texts)
    assert figure.get_suptitle().endswith("one seed, no intervals)")


def test_the_parts_of_the_loss_add_up_to_the_mean_of_the_whole():
    """Seeds whose parts differ: no two medians are of one seed."""
    frame = table(3, arms=("gold",))
    parts = {"storage": (1, 5, 0), "latent": (5, 0, 1), "overthinking": (0, 1, 5), "format": (0, 0, 0)}
    parts["o_loss"] = tuple(map(sum, zip(*parts.values(), strict=True)))
    for name, values in parts.items():
        rows = (frame["part"] == "split") & (frame["metric"] == name)
        frame.loc[rows, "value"] = frame.loc[rows, "seed"].map(dict(enumerate(values)))
    ax = next(ax for ax in drawn(frame).axes if ax.get_title(loc="left").startswith("c"))
    assert sum(bar.get_height() for bar in ax.patches if bar.get_width() == 0.7) == pytest.approx(6)


@pytest.mark.parametrize(("seeds", "words"), [(2, "too few for intervals)"), (6, "with 95 % intervals)")])
def test_an_interval_is_told_of_where_one_is_drawn(seeds, words):
    figure = drawn(table(seeds, arms=("gold",)))
    assert figure.get_suptitle().endswith(words)
    panel = next(ax for ax in figure.axes if ax.get_title(loc="left").startswith("c"))
    of_the_whole = [line for line in panel.lines if line.get_color() == "#D55E00"]
    assert len(of_the_whole[0].get_ydata()) == seeds  # each seed is a dot
    assert any(line.get_linestyle() == "-" for line in of_the_whole) == (seeds == 6)


@pytest.mark.parametrize(
    "kept",
    [["procedural.opening", "knowledge.bits"], ["procedural.opening", "update.kl"], ["procedural.free"]],
)
def test_few_measurements_are_drawn_all_the_same(kept):
    frame = table(2)
    frame = frame[(frame["part"] + "." + frame["metric"]).isin(kept)]
    assert sorted(titles(drawn(frame))) == [*"abcdef"]
    assert len(verdicts(tax.tax_of(frame, PLAN))) == len(PLAN.predictions)


def test_an_arm_only_with_preservation_and_one_without_a_name_here():
    frame = table(2, arms=("steered",), keeps=("lower", "frozen_norms"))
    names = [text.get_text() for text in drawn(frame).legends[0].get_texts()]
    assert {"steered", "lower half frozen", "frozen_norms"} <= {*names}


def test_head_and_tail_have_a_panel_and_a_prediction():
    frame = table(6, arms=("gold",))
    bits = frame[(frame["part"] == "knowledge") & (frame["metric"] == "bits")]
    head = bits.assign(metric="bits_head", value=6.0 - 0.1 * (5.5 - bits["value"]))
    tail = bits.assign(metric="bits_tail", value=5.0 - 2.0 * (5.5 - bits["value"]))
    whole = pd.concat([frame, head, tail])
    assert "seen rarely" in [text.get_text() for text in drawn(whole).findobj(Text)]
    plan = planned([one for one in SETTINGS["predictions"] if one["name"] == "tail goes first"])
    found = verdicts(tax.tax_of(whole, plan)).set_index("name").loc["tail goes first"]
    assert (found["verdict"], found["estimate"] > 0.1) == ("supported", True)


def test_seeds_evaluated_at_different_steps_are_drawn_where_they_agree():
    frame = table(2)
    frame = frame[(frame["seed"] == 0) | (frame["step"] != 8)]
    assert sorted(titles(drawn(frame))) == [*"abcdef"]


def test_nothing_trained_is_an_error_in_words(tmp_path, capsys):
    make_tax(tmp_path, (0,), unloaded=False)
    first = [record for record in tax_records(0) if record.at["step"] == 0]
    change_run(tmp_path / "0", records=write_records(tmp_path / "0" / "records.jsonl", first))
    assert finish(tmp_path) == 1
    said = capsys.readouterr()
    (line,) = said.err.splitlines()
    assert "no arm has records of a step past 0" in line
    assert (tmp_path / "cells.csv").exists()
    assert "see the picture" not in said.out


def test_a_run_without_predictions_is_drawn(tmp_path, capsys):
    make_tax(tmp_path, (0, 1), unloaded=False)
    assert finish(tmp_path) == 0
    assert len(pd.read_csv(tmp_path / "verdicts.csv")) == 0


def test_made_records_have_the_promised_coordinates():
    """Those of the study; so that what is tested here is what is drawn there."""
    places = [asdict(one)["at"] for one in tax_records(0)]
    assert {frozenset(place) for place in places} == {
        frozenset((*COORDINATES, "setting", "seed", "arm", "keep", "load", "step", *Part._fields))
    }
    assert np.isfinite([one.value for one in tax_records(0)]).all()
