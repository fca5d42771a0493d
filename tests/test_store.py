"""What is stored is found again, and what is damaged is never used."""

import duckdb
import numpy as np
import pytest
import torch

from alchemy import cells as cells_of
from alchemy import store
from alchemy.shift import corrupt
from tests.conftest import tiny_model

CELL = cells_of.Cell({"full": {"exact_match": (0.5, 0.01)}})
SETTINGS = {"task": {"length": 4}, "model": {"width": 32}, "train": {"steps": 1}, "seed": 0}


def test_a_fingerprint_depends_on_every_setting_and_on_their_order_not_at_all():
    print_of = store.fingerprint(SETTINGS)
    assert store.fingerprint(dict(reversed(SETTINGS.items()))) == print_of
    for group in ("task", "model", "train"):
        changed = {**SETTINGS, group: {key: value + 1 for key, value in SETTINGS[group].items()}}
        assert store.fingerprint(changed) != print_of
    assert store.fingerprint({**SETTINGS, "seed": 1}) != print_of


def save(home, model, facts):
    store.Partial(home.with_name(f".{home.name}.partial")).close(home, model, SETTINGS, facts)


@pytest.fixture
def stored(tmp_path, cipher):
    home = tmp_path / "models" / store.fingerprint(SETTINGS)
    save(home, tiny_model(cipher, 3), {"rows": 128})
    return home


def test_a_model_comes_back_bit_for_bit(stored, cipher):
    model = tiny_model(cipher, 4)
    assert store.load(stored, model, SETTINGS)["rows"] == 128
    for mine, its in zip(model.parameters(), tiny_model(cipher, 3).parameters(), strict=True):
        assert torch.equal(mine, its)
    assert [path.name for path in stored.parent.iterdir()] == [stored.name], "something was left aside"


def test_saving_again_replaces_the_whole(stored, cipher):
    (stored / "junk").write_text("x")
    save(stored, tiny_model(cipher, 5), {"rows": 1})
    assert sorted(path.name for path in stored.iterdir()) == ["model.json", "model.safetensors"]


@pytest.mark.parametrize("name", ["model.json", "model.safetensors"])
@pytest.mark.parametrize("harm", ["cut", "flip", "empty", "gone", "pickle"])
def test_a_damaged_model_is_refused(stored, cipher, name, harm):
    path = stored / name
    content = bytearray(path.read_bytes())
    if harm == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif harm == "flip":
        content[len(content) // 2 if name.endswith("tensors") else content.index(b'"sha256": "') + 12] ^= 1
        path.write_bytes(content)
    elif harm == "empty":
        path.write_bytes(b"")
    elif harm == "gone":
        path.unlink()
    else:
        torch.save({"os": "system"}, path)
    with pytest.raises(store.Damaged, match=str(stored.name)):
        store.load(stored, tiny_model(cipher), SETTINGS)


def test_a_model_of_other_settings_is_refused(stored, cipher):
    with pytest.raises(store.Damaged, match="not the one"):
        store.load(stored, tiny_model(cipher), {**SETTINGS, "seed": 9})


def test_a_failed_save_leaves_nothing(tmp_path, cipher):
    with pytest.raises(TypeError):
        save(tmp_path / "m", tiny_model(cipher), {"not JSON": object()})
    assert not (tmp_path / "m").exists()


def test_a_training_lies_ready_where_it_was_stopped(tmp_path, cipher, monkeypatch):
    monkeypatch.setattr(store, "PAUSE", 0)
    state, checks = tiny_model(cipher).state_dict(), [{"step": 3}]
    store.Partial(tmp_path / "part").put_down(state, checks)
    found, its = store.Partial(tmp_path / "part").resume()
    assert its == checks
    assert all(torch.equal(found[name], state[name]) for name in state)
    (tmp_path / "part" / "training.json").write_text('{"sha256": "0", "checks": []}')
    assert store.Partial(tmp_path / "part").resume() is None, "stopped between its two files"
    assert store.Partial(tmp_path / "none").resume() is None


def test_snapshots_stay_with_the_model(tmp_path, cipher):
    home = tmp_path / store.fingerprint(SETTINGS)
    partial = store.Partial(tmp_path / "part")
    for rows in (64, 512, 128):
        partial.snapshot(rows, tiny_model(cipher, rows).state_dict())
    partial.close(home, tiny_model(cipher), SETTINGS, {})
    trained = store.Trained(tiny_model(cipher), home)
    assert list(trained.snapshots()) == [64, 128, 512]
    for rows, path in trained.snapshots().items():
        for mine, its in zip(trained.at(path).parameters(), tiny_model(cipher, rows).parameters(), strict=True):
            assert torch.equal(mine, its)
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(store.Damaged, match="has changed since it was written"):
        trained.at(path)


def test_circumstances_keep_cells_apart(tmp_path, cipher):
    cells = cells_of.Cells(tmp_path, "key")
    cells.under(rows=5)[cipher.train] = CELL
    assert cipher.train in cells.under(rows=5)
    assert cipher.train not in cells.under(rows=6)
    assert cipher.train not in cells


def test_cells_are_found_by_all_that_decides_them(tmp_path, cipher):
    cells = cells_of.Cells(tmp_path / "cells", "key")
    assert cipher.train not in cells
    cells[cipher.train] = CELL
    assert cells_of.Cells(tmp_path / "cells", "key")[cipher.train].values == {"full": {"exact_match": [0.5, 0.01]}}
    assert cipher.train not in cells_of.Cells(tmp_path / "cells", "other key")
    assert corrupt(cipher, 1) not in cells


@pytest.mark.parametrize("harm", [lambda text: text[:9], lambda text: text.replace("0.5", "0.6"), lambda text: ""])
def test_a_torn_or_changed_cell_is_measured_again(tmp_path, cipher, caplog, harm):
    cells = cells_of.Cells(tmp_path, "key")
    cells[cipher.train] = CELL
    path = cells.path(cipher.train)
    path.write_text(harm(path.read_text()))
    assert cipher.train not in cells
    assert f"{path} has changed since it was written" in caplog.text


def test_the_measuring_code_is_part_of_a_cell():
    digest = store.code_digest("tasks.cipher", "alchemy.studies.degradation")
    assert digest == store.code_digest("tasks.cipher", "alchemy.studies.degradation")
    assert digest != store.code_digest("tasks.cipher", "alchemy.train")


@pytest.mark.parametrize("content", ["{}", '{"full": 1}', "[]", '{"full": {}}'])
def test_a_cell_that_is_something_else_is_measured_again(tmp_path, cipher, content):
    cells = cells_of.Cells(tmp_path, "key")
    cells.path(cipher.train).write_text(content)
    assert cipher.train not in cells


def test_a_cell_keeps_its_values_and_its_rows(tmp_path, cipher):
    cells = cells_of.Cells(tmp_path / "cells", "key")
    rows = {"prompt": np.array(["A B", "ß ‘"], dtype=object), "untouched": np.array([True, False])}
    assert cipher.train not in cells
    cells[cipher.train] = cells_of.Cell({"full": {"exact_match": (0.5, 0.1)}}, rows)
    assert cipher.train in cells
    assert cells[cipher.train].values["full"]["exact_match"] == [0.5, 0.1]
    path = cells.path(cipher.train)
    assert sorted(tmp_path.rglob("*.*")) == [path, path.with_suffix(".parquet")], "something was left aside"
    assert duckdb.sql(f"FROM '{path.with_suffix('.parquet')}'").fetchall() == [("A B", True), ("ß ‘", False)]
    assert cipher.train not in cells_of.Cells(tmp_path / "cells", "key", force=True)
