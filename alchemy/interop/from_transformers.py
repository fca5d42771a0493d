"""Reads a causal language model of the library transformers from a local folder, as a model that a study can measure.

`model=hf model.path=DIR`. The lab does not train it: prompts are written as text, read by the model's own tokenizer and
completed by its own `generate`, and the completions are read back as symbols. Needs the extra `hf`.

Shapes: B rows, P tokens of the longest prompt, in the checkpoint's own tokens.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from alchemy.data.batch import Batch, Role
from alchemy.data.vocabulary import END, PAD, SPECIALS, UNKNOWN, Vocabulary
from alchemy.errors import extra, shortened
from alchemy.results.digests import sha256

CODE = "auto_map"  # the setting that names a checkpoint's own code
TEMPLATES = "additional_chat_templates"  # the only folder inside a checkpoint that transformers reads
OBJECTS = (
    "config",
    "generation_config",
    "tokenizer_config",
    "special_tokens_map",
    "added_tokens",
    "tokenizer",
    "vocab",
)
PATHS = ("vocab", "merges", "gguf_file", "init_inputs")  # settings of a tokenizer that may name files
HARMLESS = ("special_tokens_map_file",)  # one that names a file in many checkpoints, and is not read
LONGEST = 256  # tokens of prompt and completion, where model.context is null


@dataclass(frozen=True)
class Text:
    """Translates between symbols and the tokens of a checkpoint, through text with single spaces between symbols."""

    vocabulary: Vocabulary
    theirs: Any  # the checkpoint's tokenizer
    ends: tuple[int, ...]  # the checkpoint's end tokens

    def prompts(self, batch: Batch) -> list[list[int]]:
        """Returns the tokens of each row's prompt, with those that the tokenizer adds; none for an empty prompt."""
        texts = self.vocabulary.decode_rows(batch.prompt())
        return [tokens if text else [] for text, tokens in zip(texts, self.tokens(texts, True), strict=True)]

    def tokens(self, texts: list[str], whole: bool) -> list[list[int]]:
        return self.theirs(texts, add_special_tokens=whole, return_attention_mask=False)["input_ids"]

    def encode(self, batch: Batch) -> Batch:
        """Returns a batch whose rows have as many tokens as those of `batch` have in the checkpoint's tokenizer.

        An end token is counted. Only the roles are right: all tokens are the noise token.
        """
        golds = self.tokens([" " + text for text in self.vocabulary.decode_rows(batch.completion())], False)
        sizes = [(len(prompt), len(gold) + 1) for prompt, gold in zip(self.prompts(batch), golds, strict=True)]
        role = np.full((len(batch), max(map(sum, sizes))), Role.PAD, dtype=np.int8)
        for row, (prompt, gold) in zip(role, sizes, strict=True):
            row[:prompt], row[prompt : prompt + gold] = Role.INSTRUCTION, Role.ANSWER
        return Batch(np.full(role.shape, UNKNOWN, dtype=np.int16), role, np.full(role.shape, -1, dtype=np.int8))

    @cached_property
    def noise(self) -> int:
        """How many of the checkpoint's tokens one noise token takes."""
        return len(self.tokens([" " + SPECIALS[UNKNOWN]], False)[0])

    def symbols(self, written: list[int]) -> list[int]:
        """Returns the symbols that new tokens spell, up to an end token or to the lab's end symbol written out.

        A word that is no symbol, or is padding written out, becomes the noise token: it is wrong, and counts as one
        symbol.
        """
        last = next((place for place, token in enumerate(written) if token in self.ends), len(written))
        text = self.theirs.decode(written[:last], skip_special_tokens=False, clean_up_tokenization_spaces=False)
        words = text.partition(SPECIALS[END])[0].split()
        return [self.vocabulary.ids.get(word, UNKNOWN) or UNKNOWN for word in words]


class Checkpoint:
    """A model read from a folder of transformers, with what a study needs: a context, a tokenizer, and completions.

    A row ends at an end token, or where prompt and completion have `context` tokens; `rows` are completed at a time.
    Of the checkpoint's own settings for decoding, only its end tokens and the tokens that it never chooses are used.
    Raises ValueError for a folder that holds no checkpoint with weights as safetensors.

    >>> Checkpoint(plan.task.vocabulary, "checkpoints/gpt2", context=None, rows=256).context  # doctest: +SKIP
    256
    """

    def __init__(self, vocabulary: Vocabulary, path: str, context: int | None, rows: int) -> None:
        if find_spec("transformers") is None:
            raise ValueError(f"model=hf needs the library transformers: {extra('hf')}")
        self.folder = Path(path)
        if not path or not self.folder.is_dir():
            raise ValueError(f"model.path={path} is no folder: name one that holds a checkpoint, with its config.json")
        if rows < 1:
            raise ValueError(f"model.rows={rows} is too small: set it to 1 or more")
        files = contents(self.folder)
        check(self.folder)
        self.settings = {name: read_object(self.folder, f"{name}.json") for name in OBJECTS}
        only_itself(self.folder, self.settings)
        self.made_of = {file.relative_to(self.folder).as_posix(): sha256(file) for file in files}
        self.rows, self.precision, self.device = rows, "float32", torch.device("cpu")
        self.config, theirs = self.opened()
        places = getattr(self.config, "max_position_embeddings", None)  # GPT-2's n_positions, too
        self.longest = next(iter(whole(self.folder, "config.json", "max_position_embeddings", places, least=1)), None)
        if context is not None and not 1 <= context <= (self.longest or context):
            raise ValueError(f"model.context={context} does not fit {path}: use 1 to {self.longest or LONGEST}")
        self.context = context or min(LONGEST, self.longest or LONGEST)
        self.tokenizer = Text(vocabulary, theirs, self.ends(theirs))
        self.never()  # raises now, if it is malformed

    def to(self, device: torch.device) -> "Checkpoint":
        self.device = device
        return self

    def parameters(self) -> Iterator[Tensor]:
        return self.model.parameters()

    def opened(self) -> tuple[Any, Any]:
        """Returns the configuration and the tokenizer. Raises ValueError if one of their files cannot be read."""
        from transformers import AutoConfig, AutoTokenizer

        quiet()
        with telling(self.folder, "config.json"):
            config = AutoConfig.from_pretrained(self.folder, local_files_only=True, trust_remote_code=False)
        with telling(self.folder, "tokenizer.json or tokenizer_config.json"):
            theirs = AutoTokenizer.from_pretrained(self.folder, local_files_only=True, trust_remote_code=False)
        return config, theirs

    def ends(self, theirs: Any) -> tuple[int, ...]:
        """Returns the end tokens: those of the configuration, of the tokenizer and of the settings for decoding."""
        named = {
            "config.json": getattr(self.config, "eos_token_id", None),
            "tokenizer_config.json": theirs.eos_token_id,
            "generation_config.json": self.settings["generation_config"].get("eos_token_id"),
        }
        found = [token for file, some in named.items() for token in whole(self.folder, file, "eos_token_id", some)]
        return tuple(dict.fromkeys(found))

    def never(self) -> list[int] | None:
        """Returns the tokens that the settings for decoding exclude; None if there are none."""
        named = self.settings["generation_config"].get("suppress_tokens")
        if named is not None and not isinstance(named, list):
            raise unreadable(self.folder, f"generation_config.json: suppress_tokens is no list of tokens but {named!r}")
        return whole(self.folder, "generation_config.json", "suppress_tokens", named) or None

    @cached_property
    def model(self) -> Any:
        """The model with its weights, read when first needed. Raises ValueError if some of its weights are missing."""
        from transformers import AutoModelForCausalLM, GenerationConfig

        quiet()
        with telling(self.folder, "config.json and its weights"):
            model, found = AutoModelForCausalLM.from_pretrained(
                self.folder,
                local_files_only=True,
                trust_remote_code=False,
                use_safetensors=True,
                dtype=getattr(torch, self.precision),
                output_loading_info=True,
                generation_config=GenerationConfig(),  # so that the folder's is not read
            )
        if lacking := [*found["missing_keys"], *found["mismatched_keys"]]:
            raise ValueError(f"model.path={self.folder} lacks weights of its config.json, such as {min(lacking)}")
        ends, never = list(self.tokenizer.ends) or None, self.never()
        model.generation_config = GenerationConfig(eos_token_id=ends, pad_token_id=self.filler, suppress_tokens=never)
        return model.eval().to(self.device)

    @property
    def filler(self) -> int:
        """The token that pads rows, and is masked: the tokenizer's own, else an end token, else token 0."""
        known = getattr(self.config, "vocab_size", None) or 1
        own = [self.tokenizer.theirs.pad_token_id, *self.tokenizer.ends]
        return next((token for token in own if token is not None and 0 <= token < known), 0)

    def complete(self, batch: Batch, temperature: float, rng: np.random.Generator | None) -> NDArray[np.int16]:
        """Returns the symbols (B, C) that follow each prompt, as `alchemy.models.decoding.complete` does."""
        prompts = self.tokenizer.prompts(batch)
        completion: list[list[int]] = [[] for _ in prompts]
        for some in self.together(prompts):
            room = self.context - min(len(prompts[i]) for i in some)
            for i, tokens in zip(some, self.generate([prompts[i] for i in some], room, temperature, rng), strict=True):
                completion[i] = self.tokenizer.symbols(tokens[: self.context - len(prompts[i])])
        table = np.full((len(completion), max(map(len, completion), default=0)), PAD, dtype=np.int16)
        for row, symbols in zip(table, completion, strict=True):
            row[: len(symbols)] = symbols
        return table

    def together(self, prompts: Sequence[Sequence[int]]) -> Iterator[list[int]]:
        """Yields the numbers of rows to complete together, whose prompts have about the same length.

        Otherwise the longest row could pass the positions that the checkpoint knows before the shortest fills the
        context. Rows without a prompt, or without room for a completion, are left out.
        """
        slack = self.longest - self.context if self.longest else LONGEST
        some: list[int] = []
        for i in sorted(range(len(prompts)), key=lambda i: len(prompts[i])):
            if not 0 < len(prompts[i]) < self.context:
                continue
            if some and (len(some) == self.rows or len(prompts[i]) - len(prompts[some[0]]) > slack):
                yield some
                some = []
            some.append(i)
        if some:
            yield some

    @torch.inference_mode()
    def generate(
        self, prompts: list[list[int]], room: int, temperature: float, rng: np.random.Generator | None
    ) -> list[list[int]]:
        """Returns up to `room` new tokens after each prompt; prompts are padded on the left.

        Raises ValueError for a token of a prompt that the model does not know.
        """
        P = max(map(len, prompts))
        known, largest = self.model.get_input_embeddings().num_embeddings, max(map(max, prompts))
        if largest >= known:
            raise ValueError(
                f"model.path={self.folder} has a tokenizer that writes token {largest} and a model that knows {known}: "
                "save two that belong together"
            )
        filled = torch.tensor([[self.filler] * (P - len(prompt)) + prompt for prompt in prompts])
        mask = torch.tensor([[0] * (P - len(prompt)) + [1] * len(prompt) for prompt in prompts])

        def drawn(_: Tensor, logits: Tensor) -> Tensor:
            """Adds Gumbel noise from `rng`, so that the largest logit is a sample at this temperature."""
            assert rng is not None, "sampling needs a stream"
            noise = rng.gumbel(size=tuple(logits.shape)).astype(np.float32)
            return logits / temperature + torch.from_numpy(noise).to(logits)

        written = self.model.generate(
            input_ids=filled.to(self.device),
            attention_mask=mask.to(self.device),
            max_new_tokens=room,
            do_sample=False,
            logits_processor=[drawn] if temperature else None,
        )
        return written[:, P:].tolist()


def check(folder: Path) -> None:
    """Raises ValueError if `folder` is no checkpoint whose weights are readable files of safetensors."""
    from safetensors import SafetensorError, safe_open

    if not (folder / "config.json").is_file():
        raise ValueError(f"model.path={folder} has no config.json: name the folder of a checkpoint of transformers")
    weights = sorted(folder.glob("*.safetensors"))
    if not weights:
        raise ValueError(
            f"model.path={folder} has no weights in the form of safetensors, and no other form is read: "
            "save it anew with save_pretrained"
        )
    for file in weights:
        try:
            with safe_open(file, framework="pt"):
                pass
        except (SafetensorError, OSError) as error:
            raise ValueError(
                shortened(f"{file} is no file of safetensors ({error}): save the checkpoint anew")
            ) from error


def contents(folder: Path) -> list[Path]:
    """Returns every file that a checkpoint may be read from. Raises ValueError for a link to a file outside of it."""
    home, files = folder.resolve(), []
    for file in sorted([*folder.iterdir(), *(folder / TEMPLATES).glob("*")]):
        try:
            inside = file.resolve().is_relative_to(home)
        except (OSError, RuntimeError):  # a link that leads to itself
            inside = False
        if file.name.startswith(".") or (inside and not file.is_file()) or (file.is_dir() and file.name != TEMPLATES):
            continue
        if not inside:
            raise elsewhere(f"{file} is a link out of it", "put a copy in its place")
        files.append(file)
    return files


def elsewhere(what: str, instead: str) -> ValueError:
    return ValueError(shortened(f"{what}, and only the folder of a checkpoint itself is read: {instead}"))


def read_object(folder: Path, name: str) -> dict[str, Any]:
    """Returns the object in a JSON file, {} if there is no file. Raises ValueError for anything but an object."""
    file = folder / name
    if not file.is_file():
        return {}
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise unreadable(folder, f"{name}: {error}") from error
    if not isinstance(found, dict):
        kinds = {list: "a list", str: "a text", type(None): "null", bool: "true or false"}
        raise unreadable(folder, f"{name} holds {kinds.get(type(found), 'a number')} and must hold an object")
    return found


def only_itself(folder: Path, settings: dict[str, dict[str, Any]]) -> None:
    """Raises ValueError if settings of a checkpoint need code of its own, or a file or model from elsewhere."""
    for name in ("config", "tokenizer_config"):
        if settings[name].get(CODE):
            raise ValueError(
                shortened(
                    f"{folder / name}.json asks for code of the checkpoint's own ({CODE}), and no code in a folder is "
                    "run: name one of a kind that transformers itself has"
                )
            )
    config = folder / "config.json"
    if settings["config"].get("quantization_config"):
        raise ValueError(shortened(f"{config} has a quantization_config: save the model with whole weights"))
    if (adapter := folder / "adapter_config.json").exists():
        raise elsewhere(f"{adapter} makes it an adapter of another model", "merge the two and save that")
    for key, value in settings["config"].items():
        if "attn_implementation" in key and "/" in str(value):
            raise elsewhere(f"{config} has {key}={value}", "take that out")
    named = settings["config"].get("transformers_weights")
    if named is not None and not in_folder(folder, named):
        raise elsewhere(f"{config} names weights {named}", "take transformers_weights out")
    for name in ("tokenizer_config", "special_tokens_map"):
        only_its_files(folder, f"{name}.json", settings[name])
    for index in sorted(folder.glob("*.safetensors.index.json")):
        only_its_weights(folder, index)


def only_its_files(folder: Path, name: str, settings: dict[str, Any]) -> None:
    """Raises ValueError if settings of a tokenizer name files outside of the folder."""
    for key, value in settings.items():
        if key in HARMLESS or not (key in PATHS or key.endswith(("_file", "_files"))):
            continue
        for one in value if isinstance(value, list) else [value]:
            if one is not None and not in_folder(folder, one):
                raise elsewhere(f"{folder / name} names {one} as {key}", f"take {key} out")


def only_its_weights(folder: Path, index: Path) -> None:
    """Raises ValueError if an index of weights names anything but files of safetensors in the folder itself."""
    where = read_object(folder, index.name).get("weight_map")
    if not isinstance(where, dict) or not where:
        raise unreadable(folder, f"{index.name} has no weight_map from names to files")
    for one in where.values():
        if not in_folder(folder, one):
            raise elsewhere(f"{index} names {one}, which is no file of it", "save the checkpoint anew")
        if not one.endswith(".safetensors"):
            raise unreadable(folder, f"{index.name} names {one}, which is no file of safetensors")


def in_folder(folder: Path, name: object) -> bool:
    """Whether `name` is that of a file in the folder itself."""
    if not isinstance(name, str) or "/" in name or "\\" in name or "\0" in name or name.startswith("."):
        return False
    return (folder / name).is_file()


def whole(folder: Path, file: str, name: str, value: Any, least: int = -1) -> list[int]:
    """Returns the whole number or numbers of a setting as a list. Raises ValueError for any other value."""
    some = value if isinstance(value, list) else [] if value is None else [value]
    for one in some:
        if type(one) is not int or not least <= one < 2**31:
            raise unreadable(folder, f"{file}: {name} is no whole number but {one!r}")
    return some


@contextmanager
def telling(folder: Path, files: str) -> Iterator[None]:
    """Raises ValueError for whatever a garbled file raises within, a panic of the tokenizers' Rust code included."""
    try:
        yield
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt | SystemExit | GeneratorExit | MemoryError):
            raise
        said = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise unreadable(folder, f"{files}: {said}") from error


def unreadable(folder: Path, said: str) -> ValueError:
    said = shortened(said, 160)
    return ValueError(
        shortened(f"model.path={folder} cannot be read as a causal language model with its tokenizer ({said})")
    )


def quiet() -> None:
    """Silences the messages of transformers: the lab reports errors itself."""
    from transformers.utils import logging as theirs

    theirs.disable_progress_bar()
    theirs.set_verbosity_error()
