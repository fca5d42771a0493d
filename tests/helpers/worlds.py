"""Worlds, found from conf/task/*.yaml, and that of docs/how_to_add_a_world.md; small models to go with them."""

import importlib.util
import json
import re
import sys
from pathlib import Path

from hydra.utils import instantiate
from omegaconf import OmegaConf

from alchemy.data.seeds import stream
from alchemy.models.transformer import Llama, Transformer, initialise

ROOT = Path(__file__).resolve().parent.parent.parent


def page_world():
    """The world of docs/how_to_add_a_world.md, made from the text as it stands there."""
    text = (ROOT / "docs" / "how_to_add_a_world.md").read_text(encoding="utf-8")
    code = re.search(r"```python\n(# tasks/.*?)```", text, re.S)
    settings = re.search(r"```yaml\n(# conf/task/.*?)```", text, re.S)
    assert code, "the page has lost its example world"
    assert settings, "the page has lost its example world's settings"
    name = re.match(r"# tasks/(\w+)\.py", code.group(1)).group(1)
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(f"tasks.{name}", loader=None))
    sys.modules[module.__name__] = module
    exec(code.group(1), vars(module))
    return instantiate(OmegaConf.create(settings.group(1)), _convert_="all")


def settings_of(name: str, seed: int = 0):
    """Settings of the world in conf/task/, as a run with this seed has them."""
    return OmegaConf.create({"seed": seed, "task": OmegaConf.load(ROOT / "conf" / "task" / f"{name}.yaml")}).task


def world(name: str):
    return instantiate(settings_of(name), _convert_="all")


WORLDS = {path.stem: world(path.stem) for path in sorted((ROOT / "conf" / "task").glob("*.yaml"))}


def tiny_model(task, seed=0, positions="learned", context=64, size=None):
    symbols = size or len(task.vocabulary)
    if positions == "llama":
        model = Llama(symbols, context, layers=2, heads=2, width=32, ffn=88)
    else:
        model = Transformer(symbols, context, layers=2, heads=2, width=32, positions=positions)
    initialise(model, stream(seed, "weights"))
    return model


def conformance(name: str):
    return json.loads((ROOT / "tests" / "conformance" / f"{name}.json").read_text(encoding="utf-8"))


WORLDS["page"] = page_world()
