"""Whatever is mistyped is answered in one sentence, wherever it stands, and nothing is built where the lab has nothing
to build. tests/helpers/mistakes.py makes the mistakes.
"""

import re
import shlex
import sys

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf, open_dict

from alchemy.errors import LONGEST, sentence, shortened
from alchemy.runs.command import look_at
from alchemy.runs.plan import examine
from alchemy.runs.settings import CONF, audit
from alchemy.runs.targets import named_in
from tests.helpers.command import TINY, alchemy
from tests.helpers.mistakes import bad_files, bad_overrides, said

OPTIONS = sorted(path.relative_to(CONF).with_suffix("") for path in CONF.glob("*/**/*.yaml"))
GROUPS = ("task", "model", "train", "study")
BUILT = [option for option in OPTIONS if option.parts[0] in GROUPS]
TRAP = "trap.spring"
TAX = "task=mixture model=small study=reasoning_tax"


def composed(*words):
    with initialize_config_dir(version_base="1.3", config_dir=str(CONF)):
        cfg = compose("config", list(words), return_hydra_config=True)
    cfg.hydra.job.num, cfg.hydra.job.id, cfg.hydra.runtime.output_dir = 0, "0", "."
    OmegaConf.set_struct(cfg, False)
    return cfg


def paths(node, path=""):
    """Every setting under `node`, mappings and what is in them."""
    for key, value in node.items():
        yield f"{path}{key}"
        if isinstance(value, dict):
            yield from paths(value, f"{path}{key}.")


def with_a_target(cfg, path):
    changed = cfg.copy()
    group, _, last = path.rpartition(".")
    node = OmegaConf.select(changed, group) if group else changed
    with open_dict(node):
        node[last] = {"_target_": TRAP, "x": 1}
    return changed


@pytest.mark.parametrize("option", BUILT, ids=str)
def test_a_target_is_honoured_at_no_setting_of_an_option(option, trap):
    """`{_target_: ...}` at every place of every group that is built: refused before anything is imported."""
    group = option.parts[0]
    cfg = composed(f"{group}={'/'.join(option.parts[1:])}")
    examine(cfg)
    for path in paths(OmegaConf.to_container(cfg[group]), f"{group}."):
        if path.endswith("_target_"):
            continue
        with pytest.raises(ValueError, match=re.escape(path.partition("._")[0])):
            examine(with_a_target(cfg, path), named_in(CONF))
        assert not trap(), path


@pytest.mark.parametrize(
    "words", [[], pytest.param(["experiment=reasoning_tax/headline"], marks=pytest.mark.slow)], ids=str
)
def test_a_target_is_honoured_at_no_other_setting(words, trap):
    cfg = composed(*words)
    plain = {str(key): value for key, value in OmegaConf.to_container(cfg).items() if key != "hydra"}
    found = [path for path in paths(plain) if path.split(".")[0] not in GROUPS]
    found += [f"hydra.{path}" for path in paths({"launcher": OmegaConf.to_container(cfg.hydra.launcher)})]
    found += ["hydra.launcher.parameters.x", "hydra.sweeper", "hydra.sweeper.params", "hydra.callbacks.finish"]
    for path in (*found, "experiment", "arm"):
        if path.endswith("_target_"):
            continue
        with pytest.raises(ValueError, match=re.escape(path.partition("._")[0].split(".")[0])):
            examine(with_a_target(cfg, path))
        assert not trap(), path


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("target", ["sys.exit", "os.getcwd", "pandas.read_pickle", "duckdb.sql", "builtins.dict", TRAP])
def test_only_what_belongs_there_is_built(group, target, trap):
    cfg = composed()
    cfg[group]._target_ = target
    with pytest.raises(ValueError, match=rf"{group}\._target_={target} does not belong there: it must be a"):
        examine(cfg)
    cfg[group]._target_ = TRAP
    sys.modules.pop("trap", None)
    with pytest.raises(ValueError, match="from a stored record"):
        examine(cfg, named_in(CONF))
    assert "trap" not in sys.modules, "what a record names was imported"


@pytest.mark.parametrize(
    "target", ["alchemy.models.Transformer", "alchemy.training.Recipe", "alchemy.measures.measure"]
)
def test_what_is_of_the_lab_but_of_another_kind_is_no_study(target):
    assert "study._target_" in said([f"study._target_={target}"])


def test_what_the_user_names_is_taken(tmp_path, monkeypatch):
    """A world in a package of one's own, settings of one's own that others refer to, and what Hydra reads."""
    (tmp_path / "my_worlds.py").write_text(
        "from tasks.cipher import Cipher\n\n\nclass Mine(Cipher):\n    pass\n\n\ndef small(length: int) -> Mine:\n"
        "    return Mine(('rotate 13',), ('F1F1',), length, '', 0, 0, (), True)\n"
    )
    (tmp_path / "task").mkdir()
    (tmp_path / "task" / "mine.yaml").write_text("_target_: my_worlds.small\nlength: ${my_length}\n")
    (tmp_path / "gadget").mkdir()
    (tmp_path / "gadget" / "one.yaml").write_text("_target_: my_worlds.small\nlength: 3\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert said(["task=mine", "+my_length=3", "shift.axis=length"], tmp_path) == ""
    assert said(["task=mine", "+my_lenght=3", "+my_length=3"], tmp_path) == "my_lenght is not a setting: " + (
        "python -m alchemy --cfg job lists them all"
    )
    assert said(["+gadget=one"], tmp_path) == ""
    assert said(["+hydra.launcher.parameters.partition=gpu"]) == ""
    assert said(["hydra.verbose=true", "hydra.sweep.dir=x", "hydra.job.name=y", "+hydra.job.env_set.A=b"]) == ""
    assert said(["shift.grid.length=[0,5]", "minutes={model: 3, job: 0.5}"]) == ""


def one_sentence(words, answer):
    assert answer, f"{words} was taken"
    assert len(answer) <= LONGEST
    assert "\n" not in answer
    for strange in ("Traceback", "full_key", "object_type", "DictConfig", "HYDRA_FULL_ERROR"):
        assert strange not in answer, (words, answer)


@pytest.mark.parametrize("slow", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_bad_override_is_answered_in_one_sentence(slow):
    for words in bad_overrides(500 if slow else 25, seed=int(slow)):
        one_sentence(words, said(words))


@pytest.mark.parametrize("slow", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_bad_file_is_answered_in_one_sentence(slow, tmp_path):
    for number, (group, content) in enumerate(bad_files(400 if slow else 25, seed=int(slow))):
        folder = tmp_path / str(number)
        (folder / group).mkdir(parents=True)
        (folder / group / "mine.yaml").write_bytes(content if isinstance(content, bytes) else content.encode())
        one_sentence(content, said([f"{group}=mine"], folder))


SHOWN = {
    "sed: 7\n": "sed is not a setting: did you mean seed?",
    "trian:\n  steps: 20\n": "trian is not a setting: did you mean train?",
    "train: {stesp: 20}\n": "train.stesp is not a setting: did you mean train.steps?",
}


@pytest.mark.parametrize("content", SHOWN)
def test_a_key_mistyped_in_a_file_is_named(tmp_path, content):
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "mine.yaml").write_text("# @package _global_\n" + content)
    assert said(["experiment=mine"], tmp_path) == SHOWN[content]


def whole(folder, *words):
    """The one line that a whole command answers a mistake with; it leaves no file."""
    before = sorted(folder.rglob("*"))
    done = alchemy(folder, *words)
    assert done.returncode == 1, done.stdout
    assert sorted(folder.rglob("*")) == before
    assert done.stdout == ""
    [line] = done.stderr.splitlines()
    name, _, answer = line.partition("alchemy: ")
    assert name == ""
    assert len(answer) <= LONGEST
    return answer


def options(folder, **files):
    (folder / "own" / "experiment").mkdir(parents=True)
    for name, content in files.items():
        (folder / "own" / "experiment" / f"{name}.yaml").write_text(content)


def test_mistakes_of_whole_commands(tmp_path):
    options(
        tmp_path,
        no_package="seed: 7\nname: mine\n",
        one="# @package _global_\nname: one\nhydra: {mode: MULTIRUN, sweeper: {params: {study.count: '50,60'}}}\n",
        two="# @package _global_\nname: two\nhydra: {mode: MULTIRUN, sweeper: {params: {study.count: '40,70'}}}\n",
        tag="# @package _global_\nseed: !!python/object/apply:os.getcwd []\n",
    )
    own = ["--config-dir", "own"]
    assert "# @package _global_" in whole(tmp_path, *own, "experiment=no_package", *TINY)
    answer = whole(tmp_path, *own, "-m", "experiment=one,two", *[word for word in TINY if "study.count" not in word])
    assert "experiment=one sweeps study.count itself: run experiments that sweep one at a time" in answer
    assert "line 2 cannot be read as settings" in whole(tmp_path, *own, "experiment=tag", *TINY)
    assert "hydra.sweep.subdir cannot be changed" in whole(
        tmp_path, "-m", "seed=0,1", "hydra.sweep.subdir=${hydra.job.override_dirname}", *TINY
    )


@pytest.mark.slow
@pytest.mark.parametrize("words", [*bad_overrides(8, seed=2)], ids=lambda words: " ".join(words)[:40])
def test_a_bad_override_of_a_whole_command(tmp_path, words):
    whole(tmp_path, *words)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(8))
def test_a_bad_file_of_a_whole_command(tmp_path, number):
    group, content = [*bad_files(8, seed=3)][number]
    (tmp_path / "own" / group).mkdir(parents=True)
    (tmp_path / "own" / group / "mine.yaml").write_bytes(content if isinstance(content, bytes) else content.encode())
    whole(tmp_path, "--config-dir", "own", f"{group}=mine")


def test_a_config_of_one_s_own_that_is_never_read_is_refused(tmp_path):
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "config.yaml").write_text("seed: 3\n")
    with pytest.raises(ValueError, match=r"own/config.yaml is never read"):
        look_at(["--config-dir", str(tmp_path / "own")])


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["-m", "seed=range(3,0)"], "this sweep has no jobs"),
        (["--config-dir", "own", "experiment=one", *TINY], "experiment=one sweeps seed itself: add -m"),
        (["--foo"], "unrecognized arguments: --foo"),
        (["--config-dir", "nowhere"], "is no folder: name that of your own options"),
    ],
)
@pytest.mark.slow
def test_more_mistakes_of_whole_commands(tmp_path, words, what):
    options(tmp_path, one="# @package _global_\nhydra: {sweeper: {params: {seed: '0,1'}}}\n")
    assert what in whole(tmp_path, *words)


def test_a_pickle_is_not_run_again(tmp_path):
    (tmp_path / "config.pickle").write_bytes(b"cos\nsystem\n(S'touch sprung'\ntR.")
    assert "python -m alchemy rerun" in whole(tmp_path, "--experimental-rerun", "config.pickle")


@pytest.mark.slow
def test_the_command_for_a_failed_job_has_the_folder_of_its_options(tmp_path):
    options(tmp_path, diverges="# @package _global_\nname: mine\ntrain: {learning_rate: 1e9}\n")
    done = alchemy(tmp_path, "--config-dir", "own", "-m", "experiment=diverges", "seed=0", "workers=1", *TINY)
    assert done.returncode == 1
    [command] = re.findall("that job alone: python -m alchemy (.*)", done.stderr)
    alone = alchemy(tmp_path, *shlex.split(command))
    assert alone.returncode == 1
    assert "learning_rate" in alone.stderr, "it ran, and came to the same end"


@pytest.mark.parametrize(
    ("words", "what"),
    [
        ("minutes=5", "minutes=5 must be minutes of a core"),
        ("minutes={model: 1}", "minutes.job=None must be a number"),
        ("hydra.output_subdir=null", "hydra.output_subdir=None leaves a run without its settings"),
        ("hydra.job.chdir=true", "hydra.job.chdir=true would keep models"),
        ("hydra.callbacks.finish=null", "hydra.callbacks.finish ends a run"),
        ("~hydra.callbacks", "hydra.callbacks"),
        ("hydra.run.dir=${nope}", "hydra.run.dir cannot be resolved"),
        ("train.loss=${nope}", "train.loss has no value (Interpolation key 'nope' not found): set it"),
        ("train.loss={_target_: sys.exit}", "train.loss._target_ has no place there"),
        ("train.loss={a: 1}", "train.loss={'a': 1} must be text"),
        ("+shift.grid.lenght=[1]", "shift.grid.lenght is not a setting: did you mean shift.grid.length?"),
        (
            "task=mixture model=small study=reasoning_tax +study.base.bitz=1",
            "study.base={'bitz': 1} must be shares by name",
        ),
        ("study=reasoning_tax", "use task=mixture"),
        ("task=mixture model=small study=reasoning_tax study.arm=gould", "study.arm=gould is unknown"),
        ("task=mixture model=small study=reasoning_tax study.keep=lowre", "study.keep=lowre is unknown"),
        ("task=mixture model=small study=reasoning_tax study.every=-1", "study.every=-1 is too small"),
        ("task=mixture model=small study=reasoning_tax study.anchor=-1.0", "study.anchor=-1.0 is a weight"),
        ("task=mixture model=small study=reasoning_tax study.match.kl=0.0", "study.match.kl=0.0 must be above 0"),
        (f"{TAX} study.recipe.steps=0", "study.recipe.steps=0 is too small: set study.recipe.steps to 1 or more"),
        (f"{TAX} study.recipe.steps=many", "study.recipe.steps=many must be a whole number"),
        (f"{TAX} study.recipe.steps=1000000000000", "study.recipe.steps=1000000000000 is too large"),
        (f"{TAX} study.recipe.clip=0.0", "study.recipe.clip=0.0 must be above 0"),
        (f"{TAX} study.recipe.betas=[0.9]", "study.recipe.betas=[0.9] must be two numbers"),
        (f"{TAX} study.practice.usual.batch=0", "study.practice.usual.batch=0 must be from 1 to"),
        (f"{TAX} study.practice.gentle.learning_rate=0.0", "study.practice.gentle.learning_rate=0.0 must be above 0"),
        (f"{TAX} ~study.practice.usual", "study.practice lacks usual"),
        (f"{TAX} study.doses=[]", "study.doses=[] must be ascending numbers of steps"),
        (f"{TAX} study.doses=[0,20]", "study.doses=[0, 20] must be ascending numbers of steps"),
        (f"{TAX} study.doses=[20,5]", "study.doses=[20, 5] must be ascending numbers of steps"),
        (f"{TAX} study.doses=[5,10]", "study.split_at=20 is none of study.doses=[5, 10]: use one"),
        (f"{TAX} study.doses=20", "study.doses=20 must be a list"),
        (f"{TAX} study.policy.group=1", "study.policy.group=1 has nothing to compare a sample with"),
        (f"{TAX} study.policy.updates_per_rollout=7", "study.policy.updates_per_rollout=7 does not divide the 256"),
        ("train.clip=0.0", "train.clip=0.0 must be above 0"),
        ("study=trajectory", "study=trajectory needs snapshots of the training"),
        ("study=recovery study.rows=[]", "study=recovery needs study.rows or study.shares"),
        ("study=recovery study.rows=[-5]", "study.rows names -5"),
        ("study=recovery study.rows=[] study.shares=[2.5]", "study.shares names 2.5"),
        ("study.temperature=-1.5", "study.temperature=-1.5 must be 0 (greedy) or more"),
        ("study.temperature=nan", "study.temperature=nan is no number"),
        ("study.temperature=inf", "study.temperature=inf must be 0"),
        ("target=nan", "target=nan must be an exact match"),
        ("device=cuda", "device=cuda needs a GPU"),
        ("device=meta", "use cpu or cuda"),
        ("threads=100000", "threads=100000 is too large"),
        ("study.count=99999999999999999999", "is too large: set study.count to"),
        ("train.batch=1000000000", "train.batch=1000000000 is too large"),
        ("train.learning_rate=inf", "train.learning_rate=inf is too large"),
        ("shift.levels=[99999999999999]", "shift.levels names 99999999999999"),
        ("shift.axis=length shift.kind=nope", "shift.kind=nope is unknown"),
        ("shift.axis=length shift.grid.task=x", "shift.grid.task=x must be a list"),
        ("~seed", "seed cannot be left out"),
        ("~shift.grid", "shift.grid cannot be left out"),
        ("experiment=[mirage,rows]", "experiment=[mirage,rows] names several"),
        ("+hydra.x=1", "hydra.x is not a setting"),
        ("hydra.launcher.engine=slum", "hydra.launcher.engine=slum is unknown"),
        ("+hydra.launcher.workres=1", "did you mean hydra.launcher.workers?"),
        ("hydra.job.name=a/b", "hydra.job.name=a/b names the log file"),
        ("hydra.verbose=null", "hydra.verbose=None must be"),
        ("hydra.job_logging.root.level=NOPE", "hydra.job_logging cannot be set up"),
        ("+hydra.job_logging.root.levle=INFO", "did you mean hydra.job_logging.root.level?"),
        ("+hydra.job_logging.handlers.x={class: os.getcwd}", "hydra.job_logging would call os.getcwd"),
        ("name=" + "x" * 5000, "name"),
        ("train.loss=" + "x" * 5000, "is unknown: use completion or all"),
    ],
    ids=lambda text: text[:40],
)
def test_settings_that_would_fail_later_are_refused_at_once(words, what):
    answer = said(words.split(" ") if "{" not in words else [words])
    if "name=" not in words:  # as long as that, it is the file system that refuses it
        assert what in answer
        one_sentence(words, answer)


def test_a_sentence_is_short_and_keeps_its_beginning_and_its_advice():
    assert shortened("a\n b\t\x00c") == "a b c"
    long = shortened(f"train.loss={'x' * 5000} is unknown: use completion or all")
    assert long.startswith("train.loss=xxx")
    assert long.endswith("is unknown: use completion or all")
    assert len(long) <= LONGEST
    assert len(shortened(" ".join(["word"] * 500))) <= LONGEST
    assert sentence(MemoryError()).startswith("there is not enough memory")
    assert sentence(KeyError()) == "KeyError"


def test_a_composed_default_passes():
    audit(composed())
    audit(composed("experiment=reasoning_tax/headline", "arm=reasoning_tax/gold"))
