"""Tab completion in bash: the subcommands and settings that may follow what is typed."""

import os
import re
import sys
from pathlib import Path

from hydra.plugins.completion_plugin import CompletionPlugin

from alchemy.runs.words import WORDS

PROGRAM = re.compile(r"\s*\S+(\s+-m\s+alchemy)?(\s+|$)")
INSTALL = """_alchemy()
{
    local -a run=("$1"); local typed="${COMP_LINE:0:COMP_POINT}" answer
    if [[ "$1" == *python* ]]; then
        [[ "$typed" =~ ^[[:space:]]*[^[:space:]]+[[:space:]]+-m[[:space:]]+alchemy[[:space:]] ]] || return 0
        run+=(-m alchemy)
    fi
    local word="${typed##*[[:space:]]}"
    COMPREPLY=()
    while IFS= read -r answer; do
        [[ -n "$answer" && "$answer" == "$word"* ]] && COMPREPLY+=("${answer#"${word%"$2"}"}")
    done < <(COMP_LINE="$typed" "${run[@]}" -sc query=bash 2> /dev/null)
    [[ ${#COMPREPLY[@]} == 1 && "${COMPREPLY[0]}" == *[=./] ]] && compopt -o nospace 2> /dev/null
    return 0
}
complete -o default -F _alchemy NAMES
"""


class Completion(CompletionPlugin):
    """Prints what bash asks for with `-sc`: how to install or uninstall completion, or what completes COMP_LINE."""

    def answer(self, what: str, config_name: str | None) -> None:
        {"install": self.install, "uninstall": self.uninstall}.get(what, lambda: self.query(config_name))()

    def install(self) -> None:
        print(INSTALL.replace("NAMES", started_as()), end="")

    def uninstall(self) -> None:
        print(f"complete -r {started_as()}\nunset -f _alchemy")

    def query(self, config_name: str | None) -> None:
        line = PROGRAM.sub("", os.environ["COMP_LINE"], count=1)
        first = line.split(maxsplit=1)[:1]
        if first and first[0] in WORDS and first[0] != line:
            return  # after a subcommand come names of files, which bash completes
        words = [word for word in WORDS if word.startswith(line)]
        print(*words, *self._query(config_name, line), sep="\n")

    @staticmethod
    def provides() -> str:
        return "bash"

    @staticmethod
    def help(command: str) -> str:
        return f'eval "$({{}} -sc {command}=bash)"'


def started_as() -> str:
    """Returns the names of the programs to complete: those of Python, or that of the script `alchemy`."""
    name = Path(sys.argv[0]).name
    return " ".join(sorted({"python", "python3", Path(sys.executable).name})) if name == "__main__.py" else name
