"""What fine-tuning did, against the base itself and against a model that forgot; and the study, arm by arm."""

from copy import deepcopy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf

from alchemy.data.seeds import stream
from alchemy.internals.weights import mixed
from alchemy.measures.bench import Bench
from alchemy.measures.information import audible, information
from alchemy.measures.knowledge import questions as ask
from alchemy.measures.trace import RECALL, trace_steps
from alchemy.models.decoding import Opening, complete
from alchemy.models.transformer import Llama
from alchemy.results.store import Trained
from alchemy.studies.reasoning_tax import study as reasoning_tax
from alchemy.studies.reasoning_tax.coordinates import Part
from alchemy.studies.reasoning_tax.evaluation import (
    distance_moved,
    evaluation_set,
    loss,
    measure_model,
    restoration,
    start,
)
from alchemy.studies.reasoning_tax.practice import Practice, practised
from alchemy.studies.reasoning_tax.study import KEEPS, REWARDED, SUPERVISED, Match
from alchemy.training.fit import fit_model
from alchemy.training.objectives import supervised
from alchemy.training.policy_gradient import Policy
from tests.helpers.arms import words
from tests.helpers.knowing import CONTEXT, FIRST, RECIPE, STEPS, WORLD, rows, trained
from tests.helpers.worlds import ROOT, WORLDS, tiny_model

TAUGHT = replace(RECIPE, steps=4, batch=16, check_every=1, check_problems=1, learning_rate=3e-3, warmup=0)
USUAL = Practice(learning_rate=3e-3, batch=32)
PRACTICE = {"usual": USUAL, "gentle": Practice(learning_rate=1e-4, batch=32)}
DOSES = [2, 5]
POLICY = Policy(
    group=4, prompts=4, temperature=1.0, clip=0.2, kl=0.001, entropy=0.0, updates_per_rollout=1, reward="exact"
)
SOON = Match(opening=0.01, kl=1e-6)  # passed at the first step, whatever was learnt: the base opens more often
SETTINGS: dict[str, Any] = {"label": "", "base": None, "count": 40, "match": SOON, "recipe": TAUGHT, "policy": POLICY}
SETTINGS |= {"anchor": 1.0, "every": 2, "doses": DOSES, "split_at": 5, "practice": PRACTICE}
FAR = Match(opening=2.0, kl=1e9)  # never passed
PROCEDURAL = {"free", "fast", "slow", "opens", "opening", "ood", "deeper"}
KNOWLEDGE = {"bits", "fast", "free", "slow", "opening", "opens", "invalid"}
KNOWLEDGE |= {"overthinking", "correction", "gain", "gain_c", "gain_o"}
CHAIN = {"infogain", "infogain_bounded", "nats", "nats_step", "steps", "ki", "ki_recall"}
UPDATE = {"kl", "kl_facts", "norm", "changed", "norm:layer_0", "norm:layer_1"}
BITS = {f"{name}_bits" for name in ("lost", "recovered", "missing", "control", "storage", "latent")}
SPLIT = {"f_loss", "o_loss", "storage", "latent", "overthinking", "format"} | BITS
PARTS = ["layer_0", "layer_1", "lower", "upper", "outside", "random_0", "random_1", "random_2", "all"]
RESTORE = {f"{measure}:{part}" for part in [*PARTS, "halfway"] for measure in ("bits", "gain", "free")}
CURVE = {f"{name}:{practice}_{dose}" for name in BITS for practice in PRACTICE for dose in DOSES}
GRAFT = {f"{measure}:{part}" for part in PARTS for measure in ("bits", "gain")}


def reported(questions, model):
    return words(measure_model(questions, model))


def again_of(questions, model):
    """What putting back and grafting does, as restore.bits:lower and so on."""
    found = words(restoration(questions, model, 0, "opening"))
    return found["restore@opening"] | {f"graft_{name}": value for name, value in found["graft@opening"].items()}


@pytest.fixture(scope="module")
def questions():
    return evaluation_set(WORLD, trained(), 120, 0)


def taught_by(source):
    """A model that was taught chains until it forgot facts."""
    model = trained()
    recipe = replace(TAUGHT, steps=40, batch=64, check_every=40, learning_rate=1e-2)
    fit_model(WORLD, model, recipe, 0, lambda at: None, objective=supervised(recipe, source), held_out=rows(1))
    return model


@pytest.fixture(scope="module")
def taught():
    """By the same 64 rows again and again, so that of other problems it makes chains with mistakes."""
    return taught_by(lambda count: rows(count, "chains", chains=1.0))


@pytest.fixture(scope="module")
def fluent():
    """By problems that are always new, so that it computes as well as can be."""
    rng = stream(0, "chains")
    return taught_by(lambda count: ask(WORLD, STEPS, count, rng, "train", 1.0))


def again(model):
    return practised(WORLD, model, "usual", USUAL, [40], 0)[40]


def test_the_base_has_not_moved_from_itself(questions):
    found = reported(questions, trained())
    assert set(found) == {"procedural", "knowledge", "chain", "update"}
    assert set(found["procedural"]) == PROCEDURAL
    assert set(found["knowledge"]) == KNOWLEDGE
    assert set(found["chain"]) == CHAIN
    assert set(found["update"]) == UPDATE
    assert all(value == 0 for value, _ in found["update"].values())
    assert distance_moved(questions, trained())[1] == 0
    split = loss(questions, trained(), trained(), trained())
    assert set(split) == SPLIT
    assert all(value == 0 for value, _ in split.values())


def test_bits_of_facts_that_are_asked_about_often_and_seldom():
    people = replace(WORLD.worlds[0], zipf=1.0)
    some = evaluation_set(replace(WORLD, worlds=(people, WORLD.worlds[1])), trained(), 200, 0)
    found = {name: value for name, (value, _) in reported(some, trained())["knowledge"].items()}
    assert set(found) == {*KNOWLEDGE, "bits_head", "bits_tail"}
    first = {tuple(names) for names in WORLD.ours[0][people.people[:7]].tolist()}  # 1/8 of a sum of 4.06 is the mean
    head = np.array([tuple(names) in first for names in some.facts.tokens[:, :2].tolist()])
    assert head.mean() == pytest.approx(7 / 32, abs=0.1)  # of facts, not of questions
    both = head.mean() * found["bits_head"] + (1 - head.mean()) * found["bits_tail"]
    assert both == pytest.approx(found["bits"])


def test_progress_is_what_its_parts_say(questions, fluent):
    before, after = reported(questions, trained()), reported(questions, fluent)
    # nine seeds, three instruction sets: greater by 0.66 to 0.77, and fewer by 2.2 to 3.6
    assert after["procedural"]["opening"][0] > before["procedural"]["opening"][0] + 0.2
    assert after["knowledge"]["bits"][0] < before["knowledge"]["bits"][0] - 0.1
    assert all(value > 0 for value, _ in after["update"].values())
    opening, divergence = distance_moved(questions, fluent)
    assert (opening, divergence) == (after["procedural"]["opening"][0], after["update"]["kl"][0])
    for part in ("procedural", "knowledge"):
        assert all(error > 0 or np.isnan(value) for value, error in after[part].values())


def test_chains_are_the_model_s_own_and_heard_by_the_base(questions, taught):
    """What a model that was taught chains writes is judged by the world, and the base says what it tells."""
    after = reported(questions, taught)["chain"]
    written = complete(taught, questions.problems, opening=Opening("slow", FIRST))
    steps = trace_steps(WORLD, questions.problems, written)
    last = audible(questions.base, questions.problems, steps.ends, FIRST).sum(axis=1)
    known = last > 0  # a chain that goes on to the end of the context is heard as far as there is room
    base, own = (
        information(model, questions.problems, written, steps.ends, FIRST)[np.arange(120), last]
        for model in (questions.base, taught)
    )
    assert after["steps"][0] == pytest.approx(last[known].mean())
    assert last.mean() > 1
    assert after["nats"][0] == pytest.approx((base - questions.unaided)[known].mean(), abs=1e-4)
    assert np.abs(own - base).mean() > 0.1  # ten seeds, three instruction sets: 0.42 to 2.9
    assert after["ki"][0] == pytest.approx(((steps.truth == 1).sum(axis=1) / (steps.ends > 0).sum(axis=1)).mean())
    assert 0 < after["ki"][0] < 1  # ten seeds, three instruction sets: 0.24 to 0.81
    assert after["infogain"][0] < after["infogain_bounded"][0]
    facts = trace_steps(WORLD, questions.facts, complete(taught, questions.facts, opening=Opening("slow", FIRST)))
    kinds = zip(facts.truth, facts.kind, strict=True)
    by_row = [(truth[kind == RECALL] == 1).mean() for truth, kind in kinds]
    assert after["ki_recall"][0] == pytest.approx(np.mean(by_row))
    assert questions.unshown().unaided.shape == questions.unaided.shape == (120,)


def test_the_loss_of_a_model_that_forgot_adds_up(questions, taught):
    found = {name: value for name, (value, _) in loss(questions, taught, again(taught), again(trained())).items()}
    assert found["lost_bits"] > 0.1  # ten seeds, three instruction sets: 2.2 to 3.9
    assert found["f_loss"] > 0  # 0.50 to 0.88
    assert found["storage"] + found["latent"] == pytest.approx(found["f_loss"], abs=1e-12)
    assert found["storage_bits"] + found["latent_bits"] == pytest.approx(found["lost_bits"], abs=1e-12)
    assert found["f_loss"] + found["overthinking"] + found["format"] == pytest.approx(found["o_loss"], abs=1e-12)
    assert found["latent_bits"] != 0
    assert found["control_bits"] != 0


def test_restoring_all_brings_all_bits_back_and_keeps_no_gain(questions, taught):
    found = {name: value for name, (value, _) in again_of(questions, taught).items()}
    assert set(found) == RESTORE | {f"graft_{name}" for name in GRAFT}
    assert (found["bits:all"], found["gain:all"]) == (1, 0)
    assert (found["graft_bits:all"], found["graft_gain:all"]) == (1, 1)
    assert found["free:all"] == reported(questions, trained())["procedural"]["free"][0]
    assert found["bits:halfway"] > 0  # ten seeds, three instruction sets: 0.54 to 0.84
    half = mixed(trained(), taught, frozenset(taught.state_dict()), 0.5)
    rates = [questions.opening(model, questions.problems)[:, 0] for model in (trained(), taught, half)]
    before, after, between = (np.log(rate / (1 - rate)).mean() for rate in rates)
    assert found["gain:halfway"] == pytest.approx((between - before) / (after - before), rel=1e-4)


def test_the_threshold_says_what_the_base_was_trained_on(questions):
    found = {name: value for name, (value, _) in words(start(questions))["threshold"].items()}
    assert found["p_cot"] == pytest.approx(0.3)
    assert found["capacity"] == pytest.approx(np.log2(25))
    assert 1 <= found["v_eff"] <= 5
    assert found["p_star"] == pytest.approx(1 / (1 + found["v_eff"]))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"context": CONTEXT - 2}, "model.context=23 or more"),
        ({"layers": 1}, "model.layers=2 or more"),
    ],
)
def test_a_model_that_cannot_be_asked_is_told_so(change, words):
    sizes = {"context": CONTEXT, "layers": 2} | change
    model = Llama(len(WORLD.vocabulary), heads=2, width=16, ffn=16, **sizes)
    with pytest.raises(ValueError, match=words):
        evaluation_set(WORLD, model, 4, 0)


# ---- the study


def study(base, arm="gold", keep="none", seed=0, **settings):
    made = {"arm": arm, "keep": keep, **SETTINGS, **settings}
    return list(reasoning_tax.run(Bench(WORLD, Trained(base, None), seed, (), {}, lambda *at: None), **made))


def by_part(records):
    found = {}
    for record in records:
        where = Part(*(record.at[name] for name in Part._fields))
        for part, metrics in words({where: {record.metric: record.value}}).items():
            found.setdefault((record.at["step"], part), {}).update(metrics)
    return found


def test_the_study_of_a_gold_arm_has_its_parts_and_coordinates():
    base = trained()
    before = {name: value.clone() for name, value in base.state_dict().items()}
    records = study(base)
    assert all(torch.equal(value, before[name]) for name, value in base.state_dict().items())
    place = {
        "seed": 0,
        "arm": "gold",
        "keep": "none",
        "axis": "-",
        "kind": "-",
        "domain": "-",
        "level": 0,
        "setting": "",
    }
    for record in records:
        assert {name: record.at[name] for name in place} == place
        assert set(record.at) == {*place, "load", "step", *Part._fields}
        assert record.count == 40
        assert isinstance(record.at["step"], int)
    weights = sum(weights.numel() for weights in base.blocks.parameters())
    assert records[0].at["load"] == pytest.approx(64 * 0.75 * np.log2(25) / (2 * weights), abs=1e-4)
    found = by_part(records)
    assert {(0, "threshold"), (0, "procedural"), (2, "update"), (4, "knowledge")} <= set(found)
    assert [step for step, part in found if part == "threshold"] == [0]
    for (_, part), metrics in found.items():
        expected = {"procedural": PROCEDURAL, "knowledge": KNOWLEDGE, "chain": CHAIN, "update": UPDATE}
        expected |= {"restore@opening": RESTORE, "graft@opening": GRAFT}
        expected |= dict.fromkeys(("practice@opening", "practice@kl"), CURVE)
        expected |= {"split@opening": SPLIT, "split@kl": SPLIT, "threshold": {"v_eff", "p_star", "p_cot", "capacity"}}
        may_lack = {"correction", "overthinking"}  # rates of no row are no record
        assert expected[part] - may_lack <= set(metrics) <= expected[part]
    assert {"split@opening", "split@kl", "restore@opening"} <= {part for _, part in found}


def test_an_arm_can_be_shown_by_another_name():
    records = study(trained(), "gold", label="gold, slowly", match=FAR, every=9, count=4)
    assert {record.at["arm"] for record in records} == {"gold, slowly"}


MATCHED = (("procedural", "opening"), ("update", "kl"))


def test_matches_are_the_first_steps_past_them():
    """Set at what the course itself has at one of its steps: measuring changes nothing of it."""
    course = by_part(study(trained(), every=1, count=16, match=FAR))
    assert not [part for _, part in course if "@" in part]
    opening, kl = ([course[step, part][name] for step in range(5)] for part, name in MATCHED)
    for one, other in ((1, 3), (3, 2), (4, 1)):
        found = by_part(study(trained(), every=9, count=16, match=Match(opening=opening[one], kl=kl[other])))
        at = {part: step for step, part in found if "@" in part}
        first = [next(s for s in range(1, 5) if its[s] >= its[step]) for its, step in ((opening, one), (kl, other))]
        assert [at["split@opening"], at["restore@opening"], at["split@kl"]] == [first[0], *first]


@pytest.fixture(scope="module")
def seen():
    """Every model that any study measures, the last one last."""
    models = []
    look = reasoning_tax.Course.look

    def noted(course, step, model):
        models.append(deepcopy(model))
        look(course, step, model)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reasoning_tax.Course, "look", noted)
        yield models


@pytest.fixture(scope="module")
def arms(seen):
    """By arm, what was found and the model at its end."""
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("alchemy.training.sources.TRIES", 8)
        for arm in (*SUPERVISED, *REWARDED):
            seen.clear()
            found[arm] = by_part(study(trained(), arm, match=FAR, every=1, count=16)), seen[-1]
            assert len(seen) == 5
    return found


@pytest.mark.parametrize("arm", [*SUPERVISED, *REWARDED])
def test_every_arm_is_measured_and_paid_as_it_should_be(arm, arms):
    found, _ = arms[arm]
    assert {step for step, _ in found} == set(range(5))
    assert found[4, "update"]["norm"] > 0
    rewarded = [step for step in range(5) if "reward" in found[step, "update"]]
    assert rewarded == {"gold_rlvr": [2, 3, 4]}.get(arm, [1, 2, 3, 4] if arm in REWARDED else [])


def test_all_arms_end_in_other_weights(arms):
    ends = {model.output.weight.detach().numpy().tobytes() for _, model in arms.values()}
    assert len(ends) == len(arms) == 9


@pytest.mark.parametrize("keep", [*KEEPS, "replay_1", "replay_50"])
def test_every_keeping_ends_and_freezes_what_it_says(keep, seen):
    found = by_part(study(trained(), "gold", keep, match=FAR, every=9, count=16))
    before, after = trained().state_dict(), seen[-1].state_dict()
    assert set(before) == set(after)
    still = {name for name, value in before.items() if torch.equal(value, after[name])}
    layers = {name for name in before if name.startswith("blocks")}
    lower = {name for name in layers if name.startswith("blocks.0.")}
    if keep in ("lower", "upper"):
        assert still == set(before) - (layers - lower if keep == "lower" else lower)
    elif keep == "random":
        assert set(before) - layers < still
        moved = sum(before[name].numel() for name in set(before) - still)
        assert moved == pytest.approx(sum(before[name].numel() for name in layers) / 2, rel=0.1)
    elif keep == "low_rank":
        assert set(before) - still == {name for name in layers if before[name].ndim == 2}
    else:
        assert not still
    assert found[4, "update"]["norm"] > 0


def test_a_matched_model_of_low_rank_is_split_too():
    found = by_part(study(trained(), "gold", "low_rank", match=Match(opening=2.0, kl=1e-6), every=9, count=16))
    assert set(next(metrics for (_, part), metrics in found.items() if part == "split@kl")) == SPLIT


@pytest.mark.parametrize(("arm", "match"), [("gold", SETTINGS["match"]), ("rlvr", FAR)])
def test_one_seed_gives_the_same_records(arm, match):
    one, again = (study(trained(), arm, seed=3, count=12, match=match) for _ in range(2))
    assert repr(one) == repr(again)  # NaN is no NaN's equal


def test_another_seed_asks_and_teaches_others(seen):
    one, other = (repr(study(trained(), "rlvr", seed=seed, count=4, match=FAR)) for seed in (3, 4))
    assert one.replace("3", "4") != other.replace("3", "4")


def test_what_is_measured_changes_nothing_of_what_is_taught(seen):
    ends = []
    for every in (1, 9):
        study(trained(), "rlvr", "anchor", match=FAR, every=every, count=8)
        ends.append(seen[-1].state_dict())
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])


def test_anchors_and_replay_leave_the_rows_of_an_arm_alone(monkeypatch):
    drawn = {}
    for keep in ("none", "anchor", "replay_10"):
        its = drawn.setdefault(keep, [])

        def noted(recipe, source, its=its):
            def one(count):
                its.append(source(count).tokens.tobytes())
                return source(count)

            return supervised(recipe, one)

        monkeypatch.setattr(reasoning_tax, "supervised", noted)
        study(trained(), "gold", keep, match=FAR, every=9, count=4)
    assert len(drawn["none"]) == 4
    assert all(its == drawn["none"] for its in drawn.values())


def test_a_loss_that_is_no_number_names_the_setting_that_made_it(monkeypatch):
    monkeypatch.setattr(reasoning_tax.Course, "look", lambda *_: None)
    wild = {"learning_rate": 1e30, "check_every": 4}
    with pytest.raises(ValueError, match=r"^study\.recipe\.learning_rate=1e\+30 makes the loss nan at step 4: lower"):
        study(trained(), recipe=replace(TAUGHT, **wild))
    with pytest.raises(ValueError, match=r"^study\.practice\.usual\.learning_rate=1e\+30 makes the loss nan"):
        practised(WORLD, trained(), "usual", replace(USUAL, learning_rate=1e30), [4], 0)
    with pytest.raises(ValueError, match=r"^learning_rate=1e\+30 makes the loss nan"):
        fit_model(WORLD, trained(), replace(TAUGHT, **wild), 0, lambda _: None)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"arm": "silver"}, r"study\.arm=silver is unknown: use one of gold, direct, self, .*gold_rlvr"),
        ({"keep": "everything"}, r"study\.keep=everything is unknown: use one of none, lower"),
        ({"keep": "replay_x"}, r"study\.keep=replay_x"),
        ({"keep": "replay_0"}, r"study\.keep=replay_0"),
        ({"keep": "replay_100"}, r"study\.keep=replay_100"),
        ({"every": 0}, r"study\.every=0"),
    ],
)
def test_a_mistake_is_told_before_anything_is_asked_or_trained(settings, words):
    with pytest.raises(ValueError, match=words):
        reasoning_tax.check(WORLD, None, **{"arm": "gold", "keep": "none", **SETTINGS, **settings})


@pytest.mark.parametrize("name", ["cipher", "arithmetic", "facts"])
def test_a_world_that_lacks_facts_or_problems_is_told_so(name):
    task = WORLDS[name]
    with pytest.raises(ValueError, match="use task=mixture"):
        list(
            reasoning_tax.run(
                Bench(task, Trained(tiny_model(task), None), 0, (), {}, lambda *at: None),
                arm="gold",
                keep="none",
                **SETTINGS,
            )
        )


def test_the_study_is_made_from_its_settings():
    made = instantiate(OmegaConf.load(ROOT / "conf" / "study" / "reasoning_tax.yaml"), _convert_="all").keywords
    assert {"arm", "keep", *SETTINGS} == set(made)
    assert isinstance(made["match"], Match)
    reasoning_tax.check(WORLDS["mixture"], None, **made)
