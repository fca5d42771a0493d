"""The compiled attention against PyTorch's own, and when it is used."""

import subprocess
import sys

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf

from alchemy.models import attention
from alchemy.models.attention import FEWEST, LONGEST, Short, attend, fits
from tests.helpers.worlds import ROOT


def of_torch(mixed):
    queries, keys, values = mixed.permute(2, 0, 3, 1, 4)
    return torch.nn.functional.scaled_dot_product_attention(queries, keys, values, is_causal=True).transpose(1, 2)


@pytest.mark.parametrize(
    "shape", [(64, 17, 4, 8), (33, 1, 1, 4), (1, 2, 2, 16), (65, 3, 3, 12), (130, 18, 4, 8), (40, 64, 2, 8)], ids=str
)
@pytest.mark.parametrize("size", [0.1, 1.0, 30.0])
def test_it_is_attention_and_its_gradient(shape, size):
    B, T, H, E = shape
    torch.manual_seed(0)
    mixed = size * torch.randn(B, T, 3, H, E)
    given = torch.randn(B, T, H, E)
    rows = [mixed.double().requires_grad_(), mixed.clone().requires_grad_(), mixed.clone().requires_grad_()]
    read = [attention(some) for attention, some in zip((of_torch, Short.apply, of_torch), rows, strict=True)]
    for some in read:
        some.backward(given.to(some.dtype))
    for exact, mine, theirs in (read, [some.grad for some in rows]):
        error, usual = ((some.double() - exact).abs().max() for some in (mine, theirs))
        assert error <= 4 * usual + 1e-6, "less exact than PyTorch's own"


def test_a_token_reads_nothing_after_it():
    mixed = torch.randn(FEWEST, 9, 3, 2, 8)
    later = mixed.clone()
    later[:, 5:] = 100.0
    assert torch.equal(attend(mixed)[:, :5], attend(later)[:, :5])


def test_rows_do_not_see_one_another():
    mixed = torch.randn(100, 9, 3, 2, 8)
    assert torch.equal(attend(mixed)[60:], attend(mixed[60:]))


def test_weights_that_a_view_or_a_slice_holds():
    wide = torch.randn(FEWEST, 9, 3, 2, 16)
    assert torch.allclose(attend(wide[..., ::2]), of_torch(wide[..., ::2]), atol=1e-5)


@pytest.mark.parametrize(
    "mixed",
    [
        torch.randn(FEWEST - 1, 5, 3, 2, 8),
        torch.randn(FEWEST, LONGEST + 1, 3, 2, 8),
        torch.randn(FEWEST, 5, 3, 2, 6),
        torch.randn(FEWEST, 5, 3, 2, 64),
        torch.randn(FEWEST, 5, 3, 2, 8, dtype=torch.float64),
        torch.randn(FEWEST, 5, 3, 2, 8, dtype=torch.bfloat16),
        torch.randn(FEWEST, 5, 3, 2, 8, device="meta"),
    ],
    ids=lambda mixed: f"{tuple(mixed.shape)} {mixed.dtype} {mixed.device}",
)
def test_what_it_is_not_made_for_goes_to_pytorch(mixed):
    assert not fits(mixed)
    assert attend(mixed).shape == (*mixed.shape[:2], *mixed.shape[3:])


def test_it_is_used_for_the_default_model(cipher, monkeypatch):
    used = []
    monkeypatch.setattr(attention.Short, "apply", lambda mixed: used.append(1) or of_torch(mixed))
    settings = OmegaConf.load(ROOT / "conf" / "model" / "gpt.yaml")
    model = instantiate(settings)(vocabulary_size=len(cipher.vocabulary))
    model(torch.zeros(64, 17, dtype=torch.long))
    assert len(used) == settings.layers


def test_several_threads_go_to_pytorch():
    mixed = torch.randn(FEWEST, 5, 3, 2, 8)
    assert fits(mixed)
    torch.set_num_threads(2)
    try:
        assert not fits(mixed)
    finally:
        torch.set_num_threads(1)


def test_there_is_no_second_derivative():
    mixed = torch.randn(FEWEST, 5, 3, 2, 8, requires_grad=True)
    (slope,) = torch.autograd.grad(attend(mixed).square().sum(), mixed, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        slope.sum().backward()


@pytest.mark.slow
def test_it_compiles_where_nothing_can_be_kept(tmp_path):
    """The folder of the compiled code cannot be written: compiled again by each process, and used."""
    code = (
        "import numba.core.caching as c\n"
        "def none(*_): raise RuntimeError('no locator')\n"
        "c.FunctionCache.__init__ = none\n"
        "import torch; torch.set_num_threads(1)\n"
        "from alchemy.models.attention import attend\n"
        "print(attend(torch.ones(32, 2, 3, 1, 4)).sum().item())"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "256.0"
