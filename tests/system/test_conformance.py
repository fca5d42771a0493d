"""The lab against the released implementation's recorded results, and against the paper's printed tables."""

import hashlib
from itertools import pairwise, product
from string import ascii_uppercase

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from numpy.testing import assert_array_equal

from alchemy.data.batch import Role
from alchemy.data.noise import Noise, perturb
from alchemy.data.sampling import draw, sample
from alchemy.data.seeds import stream
from alchemy.data.shift import recompose
from alchemy.data.task import Distribution
from alchemy.data.vocabulary import ANSWER, THINK
from alchemy.measures.replay import replay_oracle
from alchemy.measures.scores import bleu_corpus, score, score_pair, score_texts, split_text
from tasks.cipher import Cipher
from tests.helpers.ciphers import REPLAYED, make
from tests.helpers.worlds import ROOT, conformance

PLAIN = Distribution(((0, 1),), 4)


def ids(cipher, letters):
    return np.array([[cipher.vocabulary.ids[letter] for letter in letters]], dtype=np.int16).reshape(1, -1)


def everything(cipher, length):
    """All elements of `length` letters in lexicographic order."""
    return cipher.numbered(np.arange(26**length), length)


def test_elements_are_numbered_in_lexicographic_order():
    cipher = make()
    letters = [cipher.vocabulary.ids[letter] for letter in ascii_uppercase]
    assert_array_equal(everything(cipher, 3), np.array(list(product(letters, repeat=3))))


@pytest.mark.parametrize("case", conformance("transformations"), ids=str)
def test_rules(case):
    rule = {"rot": f"rotate {case['n']}", "pos": f"roll {case['n']}", "reverse": "reverse"}[case["op"]]
    cipher = Cipher((rule,), ("F1",), 4, "", 0, 0, (), True)
    known = cipher.vocabulary.ids
    strange = sorted({symbol for symbol in case["input"] if symbol not in known})
    names = known | {symbol: i for i, symbol in enumerate(strange)}  # any id that is no letter's
    tokens = np.array([names[symbol] for symbol in case["input"]], dtype=np.int16)
    back = {i: symbol for symbol, i in names.items()}
    assert [back[int(i)] for i in cipher.apply(0, tokens)] == case["output"]


@pytest.mark.parametrize("case", conformance("compositions"), ids=str)
def test_compositions(case):
    cipher = make(case.get("rot_n", 13), case.get("pos_n", 1))
    elements = ids(cipher, case["input"])
    steps = []
    for rule in cipher.parse(" ".join(case["tokens"])):
        elements = cipher.apply(rule, elements)
        steps.append(cipher.vocabulary.decode(elements[0]).split())
    assert steps == case["intermediates"]
    assert steps[-1] == case["output"]


@pytest.mark.parametrize("case", conformance("composition_errors"), ids=str)
def test_composition_errors(case):
    written = "" if "no steps" in case["case"] else case["case"].removeprefix("unknown token ")
    with pytest.raises({"ValueError": ValueError, "KeyError": KeyError}[case["raises"]]):
        make().parse(written)


@pytest.mark.parametrize("case", conformance("rendering"), ids=str)
def test_rendering(case):
    cipher = make(case["rot_n"], case["pos_n"], case["use_cot"])
    row = cipher.render(ids(cipher, case["element"]), cipher.parse(" ".join(case["tokens"])))
    record, decode = case["record"], cipher.vocabulary.decode
    tokens, role = row.tokens[0], row.role[0]
    assert decode(tokens[role <= Role.INSTRUCTION]) == record["input"]
    assert decode(row.completion()[0]) == record["output"]
    assert decode(tokens[role == Role.ELEMENT]) == record["element"]
    assert decode(tokens[role == Role.TRANSFORMATION]) == record["transformation"]
    assert decode(tokens[role == Role.INSTRUCTION]) == record["instruction"]
    assert decode(tokens[role == Role.CHAIN]) == record["reasoning"]
    answer = tokens[(role == Role.ANSWER) & (tokens != ANSWER)][:-1]  # without marker and end
    assert decode(answer) == record["answer"]


def test_rendering_invariants():
    for k, cot in product((1, 2, 3), (True, False)):
        world = make(cot=cot, training=("F1F2F3"[: 2 * k],))
        batch = draw(world, world.train, 50, stream(0, "test"))
        chained = cot and k > 1
        assert_array_equal(batch.tokens[batch.role == Role.INSTRUCTION], THINK if chained else ANSWER)
        assert (batch.role == Role.CHAIN).any() == chained
        assert_array_equal((batch.tokens == ANSWER).sum(axis=1), 1)


@pytest.mark.parametrize("case", conformance("enumeration")["cases"], ids=str)
def test_enumeration(case):
    cipher = make(cot=case["use_cot"])
    batch = cipher.render(everything(cipher, case["l"]), cipher.parse(" ".join(case["tokens"])))
    lines = [cipher.vocabulary.decode(row[:-1]) for row in batch.tokens]
    assert len(lines) == case["n"]
    assert [lines[0], lines[1], lines[27], lines[-1]] == [case[k] for k in ("first", "second", "index_27", "last")]
    text = "".join(line + "\n" for line in lines)
    assert hashlib.sha256(text.encode()).hexdigest() == case["sha256_of_lines_input_space_output_newline"]


def test_sizes():
    for length, size in conformance("enumeration")["sizes"].items():
        assert 26 ** int(length) == size


@pytest.fixture(scope="module")
def answers():
    """The answer of every two-rule composition to all 456,976 elements of four letters."""
    cipher = make()
    elements = everything(cipher, 4)
    return elements, {
        f"F{a + 1}F{b + 1}": cipher.apply(b, cipher.apply(a, elements)) for a, b in product(range(3), repeat=2)
    }


def test_answer_coincidences(answers):
    for one, row in conformance("answer_coincidence_counts_l4")["counts"].items():
        for other, count in row.items():
            assert (answers[1][one] == answers[1][other]).all(axis=1).sum() == count


def test_algebra(answers):
    elements, by = answers
    pairs = [("F1F2", "F2F1"), ("F1F3", "F3F1"), ("F2F3", "F3F2"), ("F1F1", None), ("F3F3", None), ("F2F2", None)]
    for (one, other), case in zip(pairs, conformance("algebra"), strict=True):
        same = (by[one] == (by[other] if other else elements)).all(axis=1)
        assert same.sum() == case["holds_on"], case["claim"]


@pytest.mark.parametrize("case", conformance("score_pair"), ids=str)
def test_score_pair(case):
    scored = score_pair(case["pred"], case["gold"])[:3]
    assert scored == pytest.approx((case["em"], case["ed"], case["bleu_released"]), abs=1e-9)


@pytest.mark.parametrize("case", conformance("score_row"), ids=str)
def test_score_row(case):
    scored = score_texts(case["pred"], case["gold"])
    for ours, theirs in (("full", "full"), ("chain", "reasoning"), ("answer", "answer")):
        expected = case[theirs]
        assert scored[ours] == pytest.approx((expected["em"], expected["ed"], expected["bleu_released"]), abs=1e-9)


@pytest.mark.parametrize("case", conformance("split_reasoning_answer")["cases"], ids=str)
def test_split(case):
    assert split_text(case["text"]) == (case["reasoning"], case["answer"])


@pytest.mark.parametrize("case", conformance("bleu_corpus_13a")["cases"], ids=str)
def test_bleu_corpus(case):
    assert bleu_corpus(case["pred"], case["gold"]) == pytest.approx(case["bleu"], abs=1e-6)


@pytest.mark.parametrize("case", conformance("noise_p1")["cases"], ids=str)
def test_noise_at_one(case):
    cipher = make()
    row = cipher.render(ids(cipher, "ABCD"), (0, 1))
    noisy = perturb(row, Noise(case["mode"], case["domain"], case["p"]), stream(0, "noise"))
    decode, tokens, role = cipher.vocabulary.decode, noisy.tokens[0], noisy.role[0]
    assert decode(tokens[role <= Role.INSTRUCTION]) == case["input"]
    for part in ("element", "transformation", "instruction"):
        assert decode(tokens[role == Role[part.upper()]]) == case[part]
    assert_array_equal(noisy.completion(), row.completion())


def test_hybrid_noise_changes_as_many_prompts_as_it_should():
    cipher = make()
    batch = sample(cipher, PLAIN, 40_000, stream(0, "rows"))
    for rate, case in conformance("noise_invariants")["hybrid_hit_rates"].items():
        noisy = perturb(batch, Noise("hybrid", "all", float(rate)), stream(1, "noise"))
        width = batch.tokens.shape[1]
        padded = np.pad(noisy.tokens, ((0, 0), (0, width)))[:, :width]
        changed = (padded != batch.tokens).any(axis=1) | (noisy.prompt_length != batch.prompt_length)
        assert changed.mean() == pytest.approx(case["expected_1_minus_(1-p)^7"], abs=0.01)


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.5, 1.0])
@pytest.mark.parametrize("kind", ["insert", "delete", "modify"])
def test_noise_invariants(kind, rate):
    """Row by row at every rate: what stays, what is added, what is lost, and where."""
    cipher = make()
    batch = sample(cipher, PLAIN, 300, stream(0, "rows"))
    noisy = perturb(batch, Noise(kind, "element", rate), stream(1, "noise"))
    unknown = cipher.vocabulary.ids["<unk>"]
    for before, after, role, its in zip(batch.tokens, noisy.tokens, batch.role, noisy.role, strict=True):
        old, new = before[role == Role.ELEMENT].tolist(), after[its == Role.ELEMENT].tolist()
        assert before[role > Role.ELEMENT].tolist() == after[(its > Role.ELEMENT) & (its < Role.PAD)].tolist()
        if kind == "insert":
            assert [token for token in new if token != unknown] == old
            assert not new or new[-1] != unknown
            assert not any(a == b == unknown for a, b in pairwise(new))
        elif kind == "delete":
            rest = iter(old)
            assert all(token in rest for token in new), "not a subsequence"
        else:
            assert len(new) == len(old)
            assert all(b in (a, unknown) for a, b in zip(old, new, strict=True))
        assert rate not in (0.0,) or new == old


@pytest.mark.parametrize(
    ("kind", "domain", "rate"), [("add", "all", 0.1), ("insert", "letters", 0.1), ("insert", "all", 2)]
)
def test_noise_that_does_not_exist_is_refused(kind, domain, rate):
    with pytest.raises(ValueError, match="use"):
        Noise(kind, domain, rate)


@pytest.mark.slow
@pytest.mark.parametrize("name", conformance("replay_oracle")["cases"])
def test_the_replay_oracle_has_the_published_scores(name):
    """All 456,976 elements: rendering and every metric at once, equal to the paper's Tables 1 and 2."""
    trained, _, tested = REPLAYED.get(name.partition(":")[0], name.split()[-1].upper()).partition("->")
    cipher = make(training=tuple(trained.split()))
    case = conformance("replay_oracle")["cases"][name]
    batch = cipher.render(everything(cipher, 4), cipher.parse(tested.strip()))
    scores = score(cipher.vocabulary, replay_oracle(cipher, batch), batch.completion())
    for ours, theirs in (("full", "full"), ("chain", "reasoning"), ("answer", "answer")):
        mine, expected = scores[ours], case[theirs]
        assert mine.exact_match.sum() == expected["em_count"]
        assert mine.mean("edit_distance") == pytest.approx(expected["ed"], abs=5e-7)
        assert mine.mean("bleu_sentence") == pytest.approx(expected["bleu_released_mean"], abs=5e-7)
    if case["bleu_corpus_13a_full"] is not None:
        assert scores["full"].mean("bleu_corpus") == pytest.approx(case["bleu_corpus_13a_full"], abs=5e-5)


def test_the_paper_s_scenarios_are_the_levels_of_the_task_axis():
    levels = {"ID": 0, "CMP": 1, "POOD": 2, "OOD": 3}
    for source, scenarios in conformance("task_scenarios_paper").items():
        for name, case in scenarios.items():
            if source == "table1_v3" and name == "POOD":
                continue  # F1F2 to F1F1 has no unseen rule: it is CMP by the paper's own definition
            cipher = make(training=tuple(case["train"]))
            assert cipher.parse(case["test"]) in recompose(cipher, levels[name]).compositions


PUBLISHED_SIZES = {  # of arXiv:2508.01191, Table 8, recounted
    **{case["params"]: ("gpt", case["vocab"]) for case in conformance("param_counts")["gpt"]},
    **{case["params"]: ("llama", 64) for case in conformance("param_counts")["llama_vocab64_untied"]},
}


OURS = [path for path in sorted((ROOT / "conf" / "model").glob("*.yaml")) if not path.stem.startswith(("hf", "small"))]


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.stem)
def test_every_model_has_the_published_number_of_parameters(path):
    count = int(path.read_text().split(" parameters")[0].split()[-1].replace(",", ""))
    form, vocabulary = PUBLISHED_SIZES[count]
    assert path.stem.startswith(form)
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        settings = compose("config", [f"model={path.stem}", "model.context=256"]).model
    with torch.device("meta"):
        model = instantiate(settings)(vocabulary_size=vocabulary)
    assert sum(weights.numel() for weights in model.parameters()) == count


def test_every_published_size_has_a_model():
    assert len(OURS) == len(PUBLISHED_SIZES) == 12
