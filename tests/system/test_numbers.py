"""Every measured number of a page has a key, by which docs/measured.py finds it in a table of docs/gallery."""

import importlib.util
import re
import shutil
import subprocess
import sys

import pytest

from tests.helpers.worlds import ROOT

TABLES = ROOT / "docs" / "gallery"
# In the others, keys are checked where they are.
STRICT = ("README.md", "docs/headline.md", "docs/coverage.md", "docs/gallery/README.md")
OWED: dict[str, int] = {}  # numbers that no table has; only ever fewer


def module():
    spec = importlib.util.spec_from_file_location("measured", ROOT / "docs" / "measured.py")
    made = sys.modules["measured"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


measured = module()
PAGES = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in measured.pages(ROOT)}

# ---- what looks as if it was measured

DIGITS = r"[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?"
UNIT = r"(?:seconds?|minutes?|hours?|ms|s|KiB|MiB|GiB|K|M|thousand|million|bits)\b"
LOOKS_MEASURED = re.compile(
    rf"""(?<![\w.,])(?:
        \d*\.\d+(?!\w|\.\d)                                 # a decimal
        | \d{{1,3}}(?:,\d{{3}})+                            # thousands
        | {DIGITS}(?=(?:\s(?:to|and|or|of)\s{DIGITS})?\s?%) # a percentage, or the first of two
        | {DIGITS}(?=\s{UNIT})                              # a time, a size
        | {DIGITS}(?=\sof\s(?:the\s|its\s)?\d)              # k of n
        | (?<=\[){DIGITS}(?=,\s{DIGITS}\])                  # an interval
    )""",
    re.X,
)
LINK = re.compile(r"(?<=\])\([^)\s]*\)")

# What looks so and is not; spaces stand for line breaks, too.
ALLOWED = {
    r"Python 3\.11 to 3\.13|PyTorch 2\.13|Apache-2\.0": "a version",
    r"arXiv:\d{4}\.\d{5}": "a paper",
    r"95 % interval": "the level of confidence",
    r"noises 5 % more|at 5 % is noised at 10 %|at 5 % against": "a level of noise",
    r"to 0\.999 in distribution": "the mark that training goes to",
    r"456,976 problems": "26 letters at four places",
    r"2,000 test rows": "study.count",
    r"3,198 facts|110,976 weights": "the size of a world, and of a model, by their settings",
    r"6\.92 bits each": "the logarithm of the 121 pairs of digits",
    r"clip 0\.2, k3 KL 0\.001|load 0\.\d+|batches of 1,024": "a setting",
    r"opening 0\.5|at temperature 1, 0\.5": "the opening rate at which arms are compared",
    r"update of 0\.015|weights by 0\.015": "the size of the update at which arms are compared",
    r"80 % and 60 % are asked for": "what a base is asked for, study.base",
}
SPACED = {re.compile(pattern.replace(" ", r"\s+")): reason for pattern, reason in ALLOWED.items()}


def blank(found):
    return re.sub(r"\S", " ", found[0])


def unkeyed(text):
    """The numbers without a key that look measured, each with its place and its line."""
    left = measured.without_code(text)
    for one in measured.keyed(text, TABLES):
        for start, end in getattr(one, "spans", ()):
            left = left[:start] + " " * (end - start) + left[end:]
    for shape in (measured.KEY, measured.ALIASES, LINK, *SPACED):
        left = shape.sub(blank, left)
    return [(found.span(), text.count("\n", 0, found.start()) + 1, found[0]) for found in LOOKS_MEASURED.finditer(left)]


# ---- the pages as they stand


@pytest.mark.parametrize("page", PAGES)
def test_every_key_has_the_number_of_its_table(page):
    assert [*measured.faults(PAGES[page], TABLES, page)] == []


@pytest.mark.parametrize("page", STRICT)
def test_every_number_that_looks_measured_has_a_key(page):
    assert [f"{page}:{line}: {number} has no key" for _, line, number in unkeyed(PAGES[page])] == []


def test_the_numbers_that_no_table_has_are_as_many_as_are_known():
    owed = {
        page: sum(len(one.spans) for one in measured.keyed(text, TABLES) if one.owed) for page, text in PAGES.items()
    }
    assert {page: count for page, count in owed.items() if count} == OWED


@pytest.mark.parametrize("pattern", SPACED)
def test_nothing_is_allowed_that_no_page_has(pattern):
    assert any(pattern.search(PAGES[page]) for page in STRICT)


def test_what_a_reader_sees_has_no_key():
    for page, text in PAGES.items():
        assert not re.search(r"<!--|-->", measured.shown(measured.without_code(text))), page


@pytest.mark.parametrize("page", STRICT)
@pytest.mark.parametrize(
    "words",
    ["It is 0.42.", "In 12 % of rows.", "From 3 to 12%.", "It was .38 then.", "Some 4,096 of them.",
     "It took 7 seconds.", "Right in 2 of 3 seeds.", "A loss of +0.3 [1, 2]."],
)  # fmt: skip
def test_a_number_that_is_added_without_a_key_is_found(page, words):
    head, end, rest = PAGES[page].partition("\n\n")
    assert unkeyed(f"{head}{end}{words}\n\n{rest}"), words


@pytest.mark.parametrize("page", STRICT)
def test_a_number_whose_key_is_taken_away_is_found(page):
    text = PAGES[page]
    keys = [key for key in measured.KEY.finditer(text) if re.search(r"\.\d(f|%)-->", key[0]) and "/" not in key[0]]
    assert len(keys) > 10
    for key in keys:
        assert unkeyed(text[: key.start()] + text[key.end() :]), key[0]


# ---- a table that changes


def changed(tmp_path, table, old, new):
    """The tables, of which one has a text changed where it first stands."""
    shutil.copytree(TABLES, tmp_path, ignore=shutil.ignore_patterns("*.png", "*.md"), dirs_exist_ok=True)
    path = tmp_path / table
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(
    ("page", "table", "old", "new", "said"),
    [
        (
            "docs/coverage.md",
            "diversity.csv",
            "0.3786666666666667",
            "0.4786666666666667",
            r"0\.38  .* should be 0\.48  .*",
        ),
        ("README.md", "claims.csv", ",agrees,", ",differs,", r"\d+  48 should be \d+  48"),
        ("README.md", "faults.csv", "group,28,28", "group,28,29", r"59 should be 60"),
        ("README.md", "speed.csv", ",6057,", ",7057,", r"6,057  5,832  6,370 should be 7,057  5,832  6,370"),
        (
            "docs/headline.md",
            "headline_numbers.csv",
            "derived,-,-,-,-,-,-,lost_bits,bits,0.861773",
            "derived,-,-,-,-,-,-,lost_bits,bits,0.9618",
            r"0\.86  .* should be 0\.96  .*",
        ),
        ("docs/headline.md", "headline_verdicts.csv", ",supported,", ",refuted,", "supported should be refuted"),
        (
            "docs/gallery/README.md",
            "diversity_training.csv",
            "0.9818333333333333",
            "0.9618333333333333",
            r"0\.98  .* should be 0\.96  .*",
        ),
    ],
)
def test_a_table_that_changes_is_found(tmp_path, page, table, old, new, said):
    tables = changed(tmp_path, table, old, new)
    found = [*measured.faults(PAGES[page], tables, page)]
    assert any(re.fullmatch(rf"{page}:\d+: {said}.*", one) for one in found), found
    right = measured.rewritten(PAGES[page], tables)
    assert [*measured.faults(right, tables, page)] == []
    assert measured.shown(right) != measured.shown(PAGES[page])
    assert measured.rewritten(right, TABLES) == PAGES[page]


def test_the_command_names_what_is_wrong_and_writes_it(tmp_path):
    (tmp_path / "docs" / "gallery").mkdir(parents=True)
    shutil.copy(ROOT / "docs" / "measured.py", tmp_path / "docs")
    (tmp_path / "docs" / "gallery" / "few.csv").write_text("level,mean\n0,0.9\n1,0.25\n")
    page = "# Few\n\nOnce 0.30<!--= few.csv level=1: mean .2f-->, and 0.9<!--= none.csv: mean .1f-->.\n"
    (tmp_path / "README.md").write_text(page)

    def run(*words):
        command = [sys.executable, "docs/measured.py", *words]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
        return done.returncode, done.stdout, done.stderr

    wrong = "README.md:3: none.csv is no table of docs/gallery, and no alias, in the key none.csv: mean .1f\n"
    number = "README.md:3: 0.30 should be 0.25 by the key few.csv level=1: mean .2f\n"
    assert run("--check") == (1, "", number + wrong)
    assert run("--write") == (1, "README.md is written anew\n", wrong)
    assert (tmp_path / "README.md").read_text() == page.replace("0.30", "0.25")
    (tmp_path / "README.md").write_text(page.replace("0.30", "0.25").replace("none.csv", "few.csv level=0"))
    assert run("--check") == (0, "", "")
    assert run() == (1, "", "python docs/measured.py takes one word, --check or --write\n")


# ---- how a key is written

FEW = """name,level,mean,low,high,kills,verdict,by_seed,kills_low,kills_high
one,0,1,0.99958,1.001,1200,agrees,0=1.000 1=0.998 2=0.41,1100,1300
"two: b",1,0.3905,-0.0018,,9,differs,0=0.0 2=0.5,,
three,2,0.005,0,,,agrees,,,
"""


@pytest.fixture
def few(tmp_path):
    (tmp_path / "few.csv").write_text(FEW)
    return tmp_path


@pytest.mark.parametrize(
    ("page", "right"),
    [
        ("0.1<!--= few.csv level=1: mean .2f-->", "0.39"),
        ("0.1 [0.2]<!--= few.csv level=1: mean low .2f-->", "0.39 [-0.00]"),
        ("0.1 [0, 1]<!--= few.csv level=0: [mean] .3f-->", "1.000 [1.000, 1.001]"),
        ("0.1 [0, 1]<!--= few.csv level=0: [kills] d-->", "1200 [1100, 1300]"),
        ("+0.1 [+0.2, +3]<!--= few.csv level=1: mean low -mean +.1f-->", "+0.4 [-0.0, -0.4]"),
        (".1 .2 .3<!--= few.csv: each(mean) .2f-->", "1.00 .39 .01"),
        ("1 %<!--= few.csv level=1.0: mean .0%-->", "39 %"),
        ("1% [2%, 3%]<!--= few.csv level=0: low mean mean .2%-->", "99.96% [100.00%, 100.00%]"),
        ("7 of 8<!--= few.csv: #verdict=agrees # d-->", "2 of 3"),
        ("Five of the twelve<!--= few.csv: #verdict=agrees # w-->", "Two of the three"),
        ("1,000 to 2,000<!--= few.csv level<2: min(kills) max(kills) ,d-->", "9 to 1,200"),
        ("7<!--= few.csv level<2: sum(kills) d-->", "1209"),
        ("7<!--= few.csv level=0: kills .1f/1000--> thousand", "1.2"),
        ("7<!--= few.csv level=0: mean*kills d-->", "1200"),
        ("1 of 7<!--= few.csv level=0: seeds>=0.9 seeds<2 d--> seeds", "2 of 3"),
        ("0.7<!--= few.csv level=0: seed=2 .2f-->", "0.41"),
        ("0.7<!--= few.csv name=\"two: b\": mean .2f-->", "0.39"),
        ("0.7<!--= few.csv \"name=two: b\": mean .2f-->", "0.39"),
        ("0.7<!--= few.csv name~\"t.*\" level!=2: mean .2f-->", "0.39"),
        ("**so**<!--= few.csv level=1: verdict s-->", "**differs**"),
        ("0.7<!--= second: mean .2f-->\n\n<!-- keys\nall = few.csv\nsecond = all level=1\n-->\n", "0.39"),
        ("0.7 [0.1,\n0.2]<!--= no table 3-->", "0.7 [0.1,\n0.2]"),
    ],
)  # fmt: skip
def test_a_key_is_read(few, page, right):
    written = measured.rewritten(page, few)
    assert [*measured.faults(written, few, "page")] == []
    assert written[: written.index("<!--")] == right


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("", "a key is written TABLE CONDITION"),
        ("few.csv", "a key is written TABLE CONDITION"),
        ("few.csv level=1 mean .2f", "a key is written TABLE CONDITION"),
        ('few.csv name="two: mean .2f', "a key is written TABLE CONDITION"),
        (": mean .2f", "no table is named"),
        ("few.csv level=1: mean", "behind the colon stand values and a format"),
        ("few.csv level=1: .2f", "behind the colon stand values and a format"),
        ("few.csv level=1: mean .2g", "behind the colon stand values and a format"),
        ("few.csv level=1: mean .1f/0", "behind the colon stand values and a format"),
        ("../few.csv level=1: mean .2f", "../few.csv is no table of docs/gallery, and no alias"),
        ("few level=1: mean .2f", "few is no table of docs/gallery, and no alias"),
        ("few.csv level: mean .2f", "level is no condition such as level=1"),
        ("few.csv lvl=1: mean .2f", "there is no column lvl beside name, level, mean"),
        ("few.csv level=1: men .2f", "there is no column men beside name, level, mean"),
        ("few.csv level=7: mean .2f", "no row of few.csv is so"),
        ("few.csv level>one: mean .2f", "level>one compares with what is no number"),
        ("few.csv name~(: mean .2f", "( is no regular expression"),
        ("few.csv: mean .2f", "3 rows are so, which differ in name, level, mean"),
        ("few.csv level=2: kills d", "kills has no number there, but ''"),
        ("few.csv level=1: verdict .2f", "verdict has no number there, but 'differs'"),
        ("few.csv level=1: [mean] .2f", "high has no number there, but ''"),
        ("few.csv level=1: [men] .2f", "there is no column men beside name"),
        ("few.csv level=1: seed=1 .2f", "seed=1 is in no by_seed of the row"),
        ("few.csv level=2: seeds>=0 d", "seeds>=0 is in no by_seed of the row"),
        ("few.csv level=1: last(verdict) d", "verdict has no number there"),
        ("few.csv level=1: mean\n.2f", "a key stands in one line"),
        ("few.csv level=1: mean low mean mean .2f", "no 4 numbers stand right before it"),
        ("few.csv level=1: verdict s", "no number stands right before it"),
    ],
)  # fmt: skip
def test_a_key_that_cannot_be_read_is_one_sentence(few, key, said):
    page = f"It is 0.39 [0.00, 1.00]<!--= {key}-->."
    [found] = measured.faults(page, few, "page")
    assert re.match(r"page:\d: ", found)
    assert found.partition(": ")[2].startswith(said)
    assert len(found) <= 300
    assert "\n" not in found
    assert measured.rewritten(page, few) == page


@pytest.mark.parametrize("line", ["few.csv level=1", "Few = few.csv", "one = few.csv\none = few.csv", "one ="])
def test_an_alias_that_cannot_be_read_is_one_sentence(few, line):
    [found] = measured.faults(f"# A page\n\n<!-- keys\n{line}\n-->\n", few, "page")
    assert re.match(r"page:[45]: (an|the) alias ", found)


def test_code_has_no_keys(few):
    page = "`0.7<!--= none-->`\n\n```\n0.7<!--= none-->\n```\n"
    assert [*measured.keyed(page, few)] == []
    assert measured.shown(page) == page
