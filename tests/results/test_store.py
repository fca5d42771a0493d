"""What is stored is found again, and what is damaged is never used."""

import duckdb
import numpy as np
import pytest
import torch

from alchemy.data.shift import corrupt
from alchemy.results import cells as cells_of
from alchemy.results import store
from alchemy.results.digests import Damaged, digest, read_json, write_json
from tests.helpers.worlds import tiny_model

CELL = cells_of.Cell({"full": {"exact_match": (0.5, 0.01)}})
FACTS = {"rows": 128, "parameters": 7, "exact_match": 0.5, "checks": [{"step": 1, "loss": 0.5}]}
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
    save(home, tiny_model(cipher, 3), FACTS)
    return home


def test_a_model_comes_back_bit_for_bit(stored, cipher):
    model = tiny_model(cipher, 4)
    assert store.load_weights(stored, model, SETTINGS)["rows"] == 128
    for mine, its in zip(model.parameters(), tiny_model(cipher, 3).parameters(), strict=True):
        assert torch.equal(mine, its)
    assert [path.name for path in stored.parent.iterdir()] == [stored.name], "something was left aside"


def test_saving_again_replaces_the_whole(stored, cipher):
    (stored / "junk").write_text("x")
    save(stored, tiny_model(cipher, 5), FACTS)
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
    with pytest.raises(Damaged, match=str(stored.name)):
        store.load_weights(stored, tiny_model(cipher), SETTINGS)


def test_a_model_of_other_settings_is_refused(stored, cipher):
    with pytest.raises(Damaged, match="not the one"):
        store.load_weights(stored, tiny_model(cipher), {**SETTINGS, "seed": 9})


def test_a_failed_save_leaves_nothing(tmp_path, cipher):
    with pytest.raises(TypeError):
        save(tmp_path / "m", tiny_model(cipher), {"not JSON": object()})
    assert not (tmp_path / "m").exists()


def test_a_training_lies_ready_where_it_was_stopped(tmp_path, cipher, monkeypatch):
    monkeypatch.setattr(store, "PAUSE", 0)
    state, checks = tiny_model(cipher).state_dict(), [{"step": 3}]
    store.Partial(tmp_path / "part").save(state, checks)
    found, its = store.Partial(tmp_path / "part").resume()
    assert its == checks
    assert all(torch.equal(found[name], state[name]) for name in state)
    (tmp_path / "other").mkdir()
    for name in ("training.json", "training.safetensors"):
        (tmp_path / "other" / name).write_bytes((tmp_path / "part" / name).read_bytes())
    assert store.Partial(tmp_path / "other").resume() is None, "another model's"
    facts = read_json(tmp_path / "part" / "training.json")
    for wrong in ({"sha256": "0"}, {"checks": 3}, {"checks": [{"step": "x"}]}, {"snapshots": None}):
        write_json(tmp_path / "part" / "training.json", facts | wrong)
        assert store.Partial(tmp_path / "part").resume() is None, "stopped between its two files, or signed anew"
    assert store.Partial(tmp_path / "none").resume() is None


def test_snapshots_stay_with_the_model(tmp_path, cipher):
    home = tmp_path / store.fingerprint(SETTINGS)
    partial = store.Partial(tmp_path / "part")
    for rows in (64, 512, 128):
        partial.snapshot(rows, tiny_model(cipher, rows).state_dict())
    partial.close(home, tiny_model(cipher), SETTINGS, FACTS)
    trained = store.Trained(tiny_model(cipher), home)
    assert list(trained.snapshots()) == [64, 128, 512]
    for rows, path in trained.snapshots().items():
        for mine, its in zip(trained.at(path).parameters(), tiny_model(cipher, rows).parameters(), strict=True):
            assert torch.equal(mine, its)
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(Damaged, match="has changed since it was written"):
        trained.at(path)


def test_the_snapshots_of_a_training_that_goes_on_are_known_again(tmp_path, cipher, monkeypatch):
    monkeypatch.setattr(store, "PAUSE", 0)
    first = store.Partial(tmp_path / "part")
    first.snapshot(64, tiny_model(cipher).state_dict())
    first.save(tiny_model(cipher).state_dict(), [])
    again = store.Partial(tmp_path / "part")
    assert again.resume() is not None
    assert again.kept == first.kept != {}


WRONG = [{"checks": 3}, {"checks": [3]}, {"rows": "128"}, {"rows": True}, {"exact_match": "1"}, {"snapshots": []}]
WRONG += [{"settings": []}, {"settings": {}}, {"parameters": None}, {"fingerprint": 3}, {"sha256": None}]


@pytest.mark.parametrize("wrong", WRONG, ids=str)
def test_a_record_of_the_wrong_kind_is_refused_though_its_checksum_is_right(stored, cipher, wrong):
    write_json(stored / "model.json", read_json(stored / "model.json") | wrong)
    with pytest.raises(Damaged, match=stored.name):
        store.load_weights(stored, tiny_model(cipher), SETTINGS)


def test_no_bit_of_a_model_s_record_can_be_changed(stored, cipher):
    """Every 7th bit; what is left is the same record with other white space."""
    path, record = stored / "model.json", read_json(stored / "model.json")
    content = path.read_bytes()
    for bit in range(0, 8 * len(content), 7):
        changed = bytearray(content)
        changed[bit // 8] ^= 1 << bit % 8
        path.write_bytes(changed)
        try:
            assert store.read_model(stored) == record
        except Damaged as error:
            assert str(stored.name) in str(error)


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


def test_a_cell_under_another_s_name_is_measured_again(tmp_path, cipher, caplog):
    """Exchanged within a folder, and copied from another model's."""
    mine, other = cells_of.Cells(tmp_path / "a", "key"), cells_of.Cells(tmp_path / "b", "other key")
    for cells, score in ((mine, 0.5), (other, 0.25)):
        cells[cipher.train] = cells_of.Cell({"full": {"exact_match": (score, 0.0)}})
    mine[corrupt(cipher, 1)] = cells_of.Cell({"full": {"exact_match": (0.125, 0.0)}})
    path = mine.path(cipher.train)
    for theirs in (other.path(cipher.train), mine.path(corrupt(cipher, 1))):
        path.write_bytes(theirs.read_bytes())
        assert cipher.train not in mine
        assert f"{path} is not the cell that it is named for; the cell is measured again" in caplog.text
        caplog.clear()


VALUES = [
    {"values": 3},
    {"values": {"full": 3}},
    {"values": {"full": {"exact_match": 0.5}}},
    {"rows": 3},
    {"key": None},
]
VALUES += [{"values": {"full": {"exact_match": pair}}} for pair in ([0.5], [0.5, "x"], [0.5, 0, 0], [True, 0.0], None)]


@pytest.mark.parametrize("wrong", VALUES, ids=str)
def test_a_cell_of_the_wrong_kind_is_measured_again_though_its_checksum_is_right(tmp_path, cipher, wrong):
    cells = cells_of.Cells(tmp_path, "key")
    cells[cipher.train] = CELL
    write_json(cells.path(cipher.train), read_json(cells.path(cipher.train)) | wrong)
    assert cipher.train not in cells


@pytest.mark.parametrize("harm", ["cut", "flip", "empty", "gone"])
def test_a_cell_whose_rows_are_damaged_is_measured_again(tmp_path, cipher, caplog, harm):
    cells = cells_of.Cells(tmp_path, "key")
    cells[cipher.train] = cells_of.Cell({"full": {"exact_match": (0.5, 0.1)}}, {"untouched": np.array([True, False])})
    assert cipher.train in cells
    rows = cells.path(cipher.train).with_suffix(".parquet")
    content = bytearray(rows.read_bytes())
    content[len(content) // 2] ^= 1
    harmed = {"cut": content[:40], "flip": content, "empty": b""}
    rows.unlink() if harm == "gone" else rows.write_bytes(harmed[harm])
    assert cipher.train not in cells
    assert str(rows) in caplog.text


def test_a_record_is_what_was_written(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, {"b": [1, 2.5, None], "a": {"ß": "x"}})
    assert read_json(path) == {"b": [1, 2.5, None], "a": {"ß": "x"}}
    assert len(digest("x")) == 64
    for content in (b"", b"{}", b"[1]", b"3", b"null", b"\xff\xfe", b'{"checksum": "0", "a": 1}', b"[" * 100_000):
        path.write_bytes(content)
        with pytest.raises(Damaged, match=r"a\.json has changed since it was written"):
            read_json(path)


def test_a_class_counts_by_its_name_wherever_it_stands():
    here = {**SETTINGS, "model": {"_target_": "alchemy.models.Transformer", "of": [{"_target_": "a.B"}]}}
    there = {**SETTINGS, "model": {"_target_": "Transformer", "of": [{"_target_": "c.d.B"}]}}
    other = {**SETTINGS, "model": {"_target_": "alchemy.models.Llama", "of": [{"_target_": "a.B"}]}}
    assert store.fingerprint(here) == store.fingerprint(there) != store.fingerprint(other)


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
