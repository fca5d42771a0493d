"""A causal language model of the library transformers, from a folder of this machine, as a model of the lab.

`model=hf model.path=DIR`. It is not trained here: prompts are written as text, read by its own tokenizer, completed by
its own `generate`, and what it writes is read back as symbols. Needs the extra `hf`.

Shapes: B rows, P tokens of the longest prompt, in the checkpoint's own tokens.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from alchemy.batch import Batch, Role
from alchemy.store import sha256
from alchemy.vocabulary import END, PAD, SPECIALS, UNKNOWN, Vocabulary

LONGEST = 256  # tokens of prompt and completion, where model.context leaves it open


@dataclass(frozen=True)
class Text:
    """Between symbols and the tokens of a checkpoint, by way of text with single spaces between symbols."""

    vocabulary: Vocabulary
    theirs: Any  # its tokenizer
    ends: tuple[int, ...]  # its end tokens

    def prompts(self, batch: Batch) -> list[list[int]]:
        """The tokens of each row's prompt, with what the tokenizer puts before a text; none for an empty one."""
        texts = self.vocabulary.decode_rows(batch.prompt())
        return [tokens if text else [] for text, tokens in zip(texts, self.tokens(texts, True), strict=True)]

    def tokens(self, texts: list[str], whole: bool) -> list[list[int]]:
        return self.theirs(texts, add_special_tokens=whole, return_attention_mask=False)["input_ids"]

    def encode(self, batch: Batch) -> Batch:
        """Rows of as many tokens as those of `batch` have, an end token included; which ones, it does not say."""
        golds = self.tokens([" " + text for text in self.vocabulary.decode_rows(batch.completion())], False)
        sizes = [(len(prompt), len(gold) + 1) for prompt, gold in zip(self.prompts(batch), golds, strict=True)]
        role = np.full((len(batch), max(map(sum, sizes))), Role.PAD, dtype=np.int8)
        for row, (prompt, gold) in zip(role, sizes, strict=True):
            row[:prompt], row[prompt : prompt + gold] = Role.INSTRUCTION, Role.ANSWER
        return Batch(np.full(role.shape, UNKNOWN, dtype=np.int16), role, np.full(role.shape, -1, dtype=np.int8))

    @cached_property
    def noise(self) -> int:
        """Tokens of one noise token."""
        return len(self.tokens([" " + SPECIALS[UNKNOWN]], False)[0])

    def symbols(self, written: list[int]) -> list[int]:
        """What the new tokens say: the words up to an end token, or to our end symbol written out. A word that is no
        symbol, or is padding written out, is the noise token: it is wrong, and is counted as one symbol.
        """
        last = next((place for place, token in enumerate(written) if token in self.ends), len(written))
        text = self.theirs.decode(written[:last], skip_special_tokens=False, clean_up_tokenization_spaces=False)
        words = text.partition(SPECIALS[END])[0].split()
        return [self.vocabulary.ids.get(word, UNKNOWN) or UNKNOWN for word in words]


class Checkpoint:
    """What a study asks of a model: a context, a tokenizer, and completions. Raises ValueError for a folder that holds
    no checkpoint in the form of safetensors.

    A row ends at an end token, or where prompt and completion have `context` tokens; `rows` are completed at a time.
    Of the checkpoint's own settings for decoding only those of tokens that are never chosen hold.
    """

    def __init__(self, vocabulary: Vocabulary, path: str, context: int | None, rows: int) -> None:
        if find_spec("transformers") is None:
            raise ValueError("model=hf needs the library transformers: pip install 'shift-alchemy[hf]'")
        self.folder = Path(path)
        if not path or not self.folder.is_dir():
            raise ValueError(f"model.path={path} is no folder: name one that holds a checkpoint, with its config.json")
        if rows < 1:
            raise ValueError(f"model.rows={rows} is too small: set it to 1 or more")
        check(self.folder)
        files = sorted(file for file in self.folder.iterdir() if file.is_file() and not file.name.startswith("."))
        self.made_of = {file.name: sha256(file) for file in files}
        self.rows, self.precision, self.device = rows, "float32", torch.device("cpu")
        self.config, theirs = self.opened()
        self.longest = getattr(self.config, "max_position_embeddings", None)  # GPT-2's n_positions, too
        if context is not None and not 1 <= context <= (self.longest or context):
            raise ValueError(f"model.context={context} does not fit {path}: use 1 to {self.longest or LONGEST}")
        self.context = context or min(LONGEST, self.longest or LONGEST)
        self.tokenizer = Text(vocabulary, theirs, self.ends(theirs))

    def to(self, device: torch.device) -> "Checkpoint":
        self.device = device
        return self

    def parameters(self) -> Iterator[Tensor]:
        return self.model.parameters()

    def opened(self) -> tuple[Any, Any]:
        """Its configuration and its tokenizer. Raises ValueError if a file of it cannot be read."""
        from transformers import AutoConfig, AutoTokenizer

        quiet()
        try:
            config = AutoConfig.from_pretrained(self.folder, local_files_only=True, trust_remote_code=False)
            theirs = AutoTokenizer.from_pretrained(self.folder, local_files_only=True, trust_remote_code=False)
            self.decoding()
        except Exception as error:  # whatever a garbled file leads to
            raise unreadable(self.folder, error) from error
        return config, theirs

    def ends(self, theirs: Any) -> tuple[int, ...]:
        """Its end tokens: those that its own decoding stops at, and its tokenizer's."""
        configured = getattr(self.config, "eos_token_id", None)
        named: list[Any] = [configured, theirs.eos_token_id, self.decoding().get("eos_token_id")]
        flat = [token for some in named for token in (some if isinstance(some, list) else [some])]
        return tuple(dict.fromkeys(int(token) for token in flat if token is not None))

    def decoding(self) -> dict[str, Any]:
        """The checkpoint's own settings for decoding, if it has any."""
        path = self.folder / "generation_config.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}

    @cached_property
    def model(self) -> Any:
        """Its weights, read when they are first needed. Raises ValueError if they are not those of its config.json."""
        from transformers import AutoModelForCausalLM, GenerationConfig

        quiet()
        try:
            model, found = AutoModelForCausalLM.from_pretrained(
                self.folder,
                local_files_only=True,
                trust_remote_code=False,
                use_safetensors=True,
                dtype=getattr(torch, self.precision),
                output_loading_info=True,
            )
        except Exception as error:  # whatever a garbled file leads to
            raise unreadable(self.folder, error) from error
        if lacking := [*found["missing_keys"], *found["mismatched_keys"]]:
            raise ValueError(f"model.path={self.folder} lacks weights of its config.json, such as {min(lacking)}")
        ends, never = list(self.tokenizer.ends) or None, self.decoding().get("suppress_tokens")
        model.generation_config = GenerationConfig(eos_token_id=ends, pad_token_id=self.filler, suppress_tokens=never)
        return model.eval().to(self.device)

    @property
    def filler(self) -> int:
        """The token that fills rows up, and is not looked at: the tokenizer's own, or else an end token."""
        own = self.tokenizer.theirs.pad_token_id
        return own if own is not None else next(iter(self.tokenizer.ends), 0)

    def complete(self, batch: Batch, temperature: float, rng: np.random.Generator | None) -> NDArray[np.int16]:
        """(B, C) the symbols that follow each prompt, as `alchemy.evaluate.complete` has them."""
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
        """Numbers of rows to complete together: of about the same length, so that the longest does not leave the
        places that the checkpoint knows when the shortest fills the context. Rows without a prompt, or without room
        for more, are left out.
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
        """Up to `room` new tokens after each prompt, cut off by their place; prompts are filled up on the left."""
        P = max(map(len, prompts))
        filled = torch.tensor([[self.filler] * (P - len(prompt)) + prompt for prompt in prompts])
        mask = torch.tensor([[0] * (P - len(prompt)) + [1] * len(prompt) for prompt in prompts])

        def drawn(_: Tensor, logits: Tensor) -> Tensor:
            """Logits whose largest is a sample at this temperature, from the study's own stream."""
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
    """Raises ValueError if `folder` is no checkpoint whose weights are whole files of safetensors."""
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
            raise ValueError(f"{file} is no file of safetensors ({error}): save the checkpoint anew") from error


def unreadable(folder: Path, error: Exception) -> ValueError:
    said = (str(error).strip() or type(error).__name__).splitlines()[0]
    return ValueError(f"model.path={folder} cannot be read as a causal language model with its tokenizer ({said})")


def quiet() -> None:
    """What goes wrong is told in our own words."""
    from transformers.utils import logging as theirs

    theirs.disable_progress_bar()
    theirs.set_verbosity_error()
