"""Training: same seed, same bits; it stops where it should; the loss looks where it is told to."""

from functools import partial

import numpy as np
import pytest
import torch
from hydra.utils import instantiate
from numpy.testing import assert_array_equal
from omegaconf import OmegaConf

from alchemy.data.sampling import draw
from alchemy.data.seeds import stream
from alchemy.data.shift import recompose
from alchemy.models.decoding import complete, follows_gold, to_tensor
from alchemy.models.transformer import initialise
from alchemy.training.fit import Recipe, fit_model, next_token
from alchemy.training.packing import IGNORED, counted, lay_out, loss_of, targets
from tests.helpers.checkpoints import Checkpointer
from tests.helpers.recipes import QUICK
from tests.helpers.worlds import ROOT, tiny_model

SETTINGS = {"train": "train/adamw.yaml", "model": "model/gpt.yaml"}


def bits(task, seed):
    model = tiny_model(task, seed)
    fit_model(task, model, Recipe(**QUICK), seed, lambda at: None)
    return torch.cat([weights.detach().flatten() for weights in model.parameters()])


def test_one_seed_gives_the_same_bits(cipher):
    first = bits(cipher, 0)
    torch.rand(5)
    np.random.default_rng().random()
    assert torch.equal(first, bits(cipher, 0))
    assert not torch.equal(first, bits(cipher, 1))


@pytest.mark.parametrize("padding", ["none", "group"])
def test_a_stopped_training_goes_on_to_the_same_bits(cipher, padding):
    recipe = Recipe(**{**QUICK, "steps": 20, "mark": None, "padding": padding})
    whole, parts = tiny_model(cipher), tiny_model(cipher)
    straight = fit_model(cipher, whole, recipe, 0, lambda at: None)
    checkpointer = Checkpointer(until=2)
    with pytest.raises(KeyboardInterrupt):
        fit_model(cipher, parts, recipe, 0, lambda at: None, checkpointer)
    checkpointer.until, again = None, tiny_model(cipher, seed=5)
    resumed = fit_model(cipher, again, recipe, 0, lambda at: None, checkpointer)
    assert [(c.step, c.loss, c.exact_match) for c in resumed] == [(c.step, c.loss, c.exact_match) for c in straight]
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), again.parameters(), strict=True))


def test_snapshots_are_spread_over_the_training(cipher):
    checkpointer, model = Checkpointer(), tiny_model(cipher)
    recipe = Recipe(**{**QUICK, "steps": 64, "check_every": 2, "mark": None, "snapshots": 6})
    fit_model(cipher, model, recipe, 0, lambda at: None, checkpointer)
    assert list(checkpointer.taken) == [32, 64, 128, 256, 512, 1024]
    assert all(torch.equal(checkpointer.taken[1024][name], value) for name, value in model.state_dict().items())


def test_padding_to_the_context_changes_no_gradient(cipher):
    """Targets behind the end do not count and nothing looks to the right, so the paper's padding must equal none."""
    rows = draw(cipher, cipher.train, 32, stream(0, "train"), "train")
    gradients = []
    for padding in ("none", "context"):
        model = tiny_model(cipher)
        (((tokens, wanted),),) = lay_out(rows, "completion", padding, 1, model)
        assert tokens.shape[1] == (model.context - 1 if padding == "context" else rows.tokens.shape[1] - 1)
        loss_of(model, [(tokens, wanted)]).backward()
        gradients.append(model.blocks[0].attention_in.weight.grad)
    assert torch.allclose(*gradients, atol=1e-7)


def test_grouped_rows_stand_one_after_another(cipher):
    rows = draw(cipher, cipher.train, 40, stream(0, "train"), "train")
    model = tiny_model(cipher)
    laid = list(lay_out(rows, "all", "group", 3, model))
    laid = [piece for (piece,) in laid]
    tokens = torch.cat([tokens for tokens, _ in laid])
    assert len(laid) == 3
    assert tokens.shape == (40 * rows.tokens.shape[1] // 64, 63)
    flat = rows.tokens.flatten()
    for number, segment in enumerate(tokens):
        assert segment.tolist() == flat[64 * number : 64 * number + 63].tolist()
    assert torch.cat([wanted for _, wanted in laid])[0].tolist() == flat[1:64].tolist()


def test_a_source_of_its_own_is_all_that_is_learnt_from(cipher):
    rows = draw(cipher, cipher.train, 16, stream(0, "train"), "train")
    asked = []
    recipe = Recipe(**{**QUICK, "steps": 120, "check_every": 60, "mark": None})
    model = tiny_model(cipher)
    objective = partial(next_token, recipe=recipe, source=lambda n: (asked.append(n), rows[np.arange(n) % 16])[1])
    fit_model(cipher, model, recipe, 0, lambda at: None, objective=lambda model, steps: objective(model, steps=steps))
    assert asked == [960, 960]
    others = draw(cipher, cipher.train, 16, stream(1, "train"), "train")
    known, new = (loss_of(model, next(iter(lay_out(its, "all", "none", 1, model)))).item() for its in (rows, others))
    assert known < new - 0.5  # ten seeds, three instruction sets: 1.5 to 1.8, and 3.6 to 4.2


def test_half_the_bits_learn_the_same_rows(cipher):
    """Products in bfloat16, weights in float32; the code path of a GPU, which no test here has."""
    recipe = Recipe(**{**QUICK, "batch": 32, "steps": 60, "check_every": 60, "mark": None})
    losses, chosen = {}, {}
    tested = draw(cipher, cipher.train, 128, stream(0, "test"))
    for precision in ("float32", "bfloat16"):
        model = tiny_model(cipher)
        model.precision = precision
        losses[precision] = fit_model(cipher, model, recipe, 0, lambda at: None)[-1].loss
        assert {weights.dtype for weights in model.parameters()} == {torch.float32}
        with torch.inference_mode():
            logits = model(to_tensor(tested.tokens[:, :-1], model))
        assert logits.dtype == torch.float32
        assert len(np.unique(logits.numpy())) > 0.9 * logits.numel()  # not rounded to eight bits
        chosen[precision] = logits.argmax(dim=-1)
        assert len(complete(model, tested)) == 128
    assert losses["bfloat16"] != losses["float32"]
    # ten seeds, three instruction sets: losses alike to 0.001, 20 to 26 symbols, 0.976 to 0.997 alike
    assert losses["bfloat16"] == pytest.approx(losses["float32"], rel=0.02)
    assert len(chosen["float32"].unique()) > 10
    assert (chosen["bfloat16"] == chosen["float32"]).float().mean() > 0.9


def test_loss_and_gradient_work_on_another_device(cipher):
    """Every tensor of both is made where the weights are, or they fail on the meta device."""
    model = tiny_model(cipher).to("meta")
    rows = draw(cipher, cipher.train, 64, stream(0, "train"), "train")
    for pieces in lay_out(rows, "completion", "none", 2, model):
        loss = loss_of(model, pieces)
        loss.backward()
        assert loss.device.type == "meta"
    assert {weights.grad.device.type for weights in model.parameters()} == {"meta"}


def test_every_check_is_reported_and_counts_rows(cipher):
    told = []
    checks = fit_model(cipher, tiny_model(cipher), Recipe(**QUICK), 0, told.append)
    assert checks == told
    assert [(check.step, check.rows) for check in checks] == [(4, 64), (6, 96)]


def test_training_stops_at_its_mark(cipher):
    checks = fit_model(cipher, tiny_model(cipher), Recipe(**{**QUICK, "mark": 1e-9, "steps": 400}), 0, lambda at: None)
    assert checks[-1].step < 400  # ten seeds, three instruction sets: 120 to 208
    assert checks[-1].exact_match > 0
    assert all(check.exact_match == 0 for check in checks[:-1])


def test_the_rate_warms_up_and_comes_down(cipher):
    recipe = Recipe(**{**QUICK, "steps": 100, "warmup": 9})
    rates = [recipe.rate(step) / recipe.learning_rate for step in range(101)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[4] == pytest.approx(0.5)
    assert rates[50] == pytest.approx(0.5)
    assert rates[100] == pytest.approx(0, abs=1e-12)
    assert max(rates) <= 1


def test_targets_are_the_next_tokens_where_the_loss_looks(cipher):
    batch = draw(cipher, cipher.train, 3, stream(0, "train"), "train")
    everything, completion = (targets(batch.tokens, counted(batch, loss)) for loss in ("all", "completion"))
    assert_array_equal(everything, batch.tokens[:, 1:])
    assert (completion[:, :6] == IGNORED).all()
    assert_array_equal(completion[:, 6:], batch.tokens[:, 7:])


def test_the_loss_is_the_mean_surprise_of_the_targets(cipher):
    batch = draw(cipher, cipher.train, 4, stream(0, "train"), "train")
    model = tiny_model(cipher)
    tokens = torch.from_numpy(batch.tokens[:, :-1].astype(np.int64))
    for kind, first in (("all", 0), ("completion", 6)):
        wanted = torch.from_numpy(targets(batch.tokens, counted(batch, kind)).astype(np.int64))
        surprise = [
            -torch.log_softmax(model(tokens)[row, place], dim=0)[batch.tokens[row, place + 1]].item()
            for row in range(4)
            for place in range(first, 17)
        ]
        assert loss_of(model, [(tokens, wanted)]).item() == pytest.approx(np.mean(surprise), rel=1e-5)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("steps", 0),
        ("batch", -1),
        ("learning_rate", 0.0),
        ("clip", -1.0),
        ("betas", [0.9]),
        ("betas", [0.9, 1.0]),
        ("warmup", -1),
        ("weight_decay", -0.1),
        ("loss", "prompt"),
        ("mark", 1.5),
        ("weight_decay", float("nan")),
        ("learning_rate", float("nan")),
        ("check_every", 0),
        ("check_problems", 0),
        ("snapshots", -1),
        ("padding", "left"),
    ],
)
def test_bad_recipes_are_named(setting, value):
    with pytest.raises(ValueError, match=f"^{setting}="):
        Recipe(**{**QUICK, setting: value})


def test_training_learns_from_its_side_and_stops_by_another(cipher, monkeypatch):
    asked = []

    def spy(task, where, count, rng, side="test"):
        asked.append((side, where, count))
        return draw(task, where, count, rng, side)

    monkeypatch.setattr("alchemy.training.fit.draw", spy)
    fit_model(cipher, tiny_model(cipher), Recipe(**QUICK), 0, lambda at: None)
    assert asked == [("valid", cipher.train, 32), ("train", cipher.train, 64), ("train", cipher.train, 32)]


def test_a_loss_that_is_no_number_ends_training(cipher):
    wild = Recipe(**{**QUICK, "learning_rate": 1e30, "clip": 1e30})
    with pytest.raises(ValueError, match=r"^learning_rate=1e\+30"):
        fit_model(cipher, tiny_model(cipher), wild, 0, lambda at: None)


@pytest.mark.slow
def test_the_default_recipe_learns_the_world_and_shows_the_mirage(cipher):
    """One seed of the headline experiment: all of training's distribution, and none of CMP."""
    settings = {name: OmegaConf.load(ROOT / "conf" / path) for name, path in SETTINGS.items()}
    model = instantiate(settings["model"])(vocabulary_size=len(cipher.vocabulary))
    initialise(model, stream(7, "weights"))
    checks = fit_model(cipher, model, instantiate(settings["train"], _convert_="all"), 7, lambda at: None)
    assert checks[-1].rows <= 102_400
    tested = [draw(cipher, where, 4_000, stream(7, "test")) for where in (cipher.train, recompose(cipher, 1))]
    inside, outside = (follows_gold(model, batch).mean() for batch in tested)
    assert inside >= 0.999
    assert outside <= 0.01


@pytest.mark.parametrize(("scale", "moved"), [(1e3, 0.5), (0.1, 0.1 * 32**0.5), (1e-3, 1e-3 * 32**0.5)])
def test_a_step_is_as_long_as_its_gradient_and_no_longer_than_the_clip(cipher, monkeypatch, scale, moved):
    """By plain descent at a rate of 1: AdamW's steps do not say how large a gradient is. That of `scale` times the
    sum of 32 weights is `scale` for each of them, which makes a length of `scale` times the root of 32.
    """
    monkeypatch.setattr(torch.optim, "AdamW", lambda weights, lr, **_: torch.optim.SGD(weights, lr))
    model = tiny_model(cipher)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    recipe = Recipe(**QUICK | {"steps": 1, "warmup": 0, "learning_rate": 1.0, "clip": 0.5 if scale > 1 else 0.7})
    fit_model(
        cipher, model, recipe, 0, lambda at: None, objective=lambda its, steps: iter([scale * its.norm.weight.sum()])
    )
    change = {name: value - before[name] for name, value in model.state_dict().items()}
    assert change.pop("norm.weight").norm().item() == pytest.approx(moved, rel=1e-3)
    assert not any(rest.any() for rest in change.values())
