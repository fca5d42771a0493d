"""Search in the cells of many runs, such as `python -m alchemy query outputs/ --where "axis = 'length'"`.

All cells.csv below a folder are read as one table, and a condition selects rows of it, as SQL (DuckDB) has it after
WHERE. The columns are those of cells.csv, and `run`, the folder that a row is from. Swept settings are columns too:
quote their names, as in "model.width" > 16. They are numbers if all their values are, and text otherwise, as in
"train.mark" = 'null'.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from alchemy.errors import Parser, sentence, shortened
from alchemy.results.digests import unsealed
from alchemy.results.files import aside, write_aside
from alchemy.results.jobs import proof_of

if TYPE_CHECKING:
    import pandas as pd

SHOWN = 40  # rows printed
MEASURED = ("mean", "low", "high", "lowest", "highest")  # numbers; empty where there is none
WHOLE = ("level", "seeds", "count", "at_one")
TEXTS = ("axis", "kind", "domain", "setting", "part", "metric", "by_seed", "run")  # text even if they look like numbers
NEEDED = ("metric", "mean")  # columns without which a file is not one of the lab's
PLAIN = re.compile(r"-?\d+(\.\d+)?")
MARK = b"\xef\xbb\xbf"  # byte order mark that other programs put before UTF-8
NUMBER = "\ue000"  # column with the number of a row, under a name that nobody types
LOCKED: dict[str, Any] = {  # settings of DuckDB, so that a condition can only compute
    "threads": 1,
    "enable_external_access": "false",
    "python_enable_replacements": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "memory_limit": "2GB",
    "lock_configuration": "true",
}
ONE = "--where takes one condition on the columns of cells.csv, such as \"axis = 'length' and mean < 0.5\""
FROM = ("EMPTY", "BASE_TABLE", "SUBQUERY", "JOIN", "EXPRESSION_LIST")  # what a subquery may select from
ENDLESS = ("range", "generate_series", "repeat", "lpad", "rpad", "list_resize", "array_resize", "sleep_ms")


def main(words: list[str]) -> int:
    """Runs the `query` command. Returns its exit code, 0."""
    parser = Parser("query", __doc__, "outputs/ --where \"axis = 'length' and mean < 0.5\" --export found.csv")
    parser.add_argument("folder", type=Path, help="where runs are, such as outputs/")
    parser.add_argument("--where", default="true", metavar="SQL", help="which rows: a condition, as SQL has it")
    parser.add_argument("--export", type=Path, metavar="FILE", help="write all of them to FILE.parquet or FILE.csv")
    chosen = parser.parse_args(words)
    if chosen.export:
        check_export(chosen.export, chosen.folder)
    found = select(chosen.folder, chosen.where)
    if chosen.export:
        export(found, chosen.export)
    first = found.head(SHOWN)
    print(first.astype(object).where(first.notna(), "").to_string(index=False))
    print(f"{len(found)} rows" + (f", {SHOWN} of them above" if len(found) > SHOWN else ""))
    return 0


def select(folder: Path, where: str) -> pd.DataFrame:
    """Rows of all cells.csv below `folder` for which an SQL condition holds.

    `where` is what follows WHERE in SQL. Rows stay in their order, and labels are as in cells.csv; the column `run`
    says which folder a row is from.

    Raises ValueError if there is no cells.csv, or if `where` is not a condition or cannot be answered.

    >>> select(Path("outputs"), "axis = 'length' and mean < 0.5")  # doctest: +SKIP
    """
    import pandas as pd

    files = sorted(folder.rglob("cells.csv"))
    if not files:
        raise ValueError(f"{folder} holds no cells.csv: name a folder of finished runs, such as outputs/")
    tables = [read(file) for file in files]
    whole = pd.concat(tables, ignore_index=True)
    names = list(whole.columns)
    if len({name.casefold() for name in names}) < len(names):
        raise ValueError(f"cells.csv below {folder} have columns that differ by capitals alone: ask one run at a time")
    runs = np.array([str(file.parent).encode("utf-8", "replace").decode() for file in files], dtype=object)
    lengths = [len(table) for table in tables]
    whole["run"] = pd.array(np.repeat(runs, lengths), dtype=pd.StringDtype("python"))
    columns = {name: typed(name, whole[name]) for name in whole.columns}
    asked = pd.DataFrame({name: column[0] for name, column in columns.items()})
    shown = pd.DataFrame({name: column[1] for name, column in columns.items()})
    return shown.iloc[holding(asked, where)].reset_index(drop=True)


def read(file: Path) -> pd.DataFrame:
    """One cells.csv as a table: measured columns as numbers, all others as text.

    Raises ValueError, with the file's name, if it is not a table of cells.
    """
    import pandas as pd

    if not file.is_file():
        raise ValueError(f"{file} is no file: move it away")
    unsealed(file, proof_of(file.parent))
    raw = file.read_bytes().removeprefix(MARK)
    try:
        header = check_table(raw)
        numbers = [name for name in header if name in (*MEASURED, *WHOLE)]
        return pd.read_csv(
            io.BytesIO(raw),
            dtype={name: "float64" if name in numbers else pd.StringDtype("python") for name in header},
            keep_default_na=False,
            na_values={name: [""] for name in numbers},
            index_col=False,
        )
    except (ValueError, csv.Error) as error:
        reason = shortened(str(error), 100)
        raise ValueError(f"{file} is no table of cells ({reason}): draw that run again, or move it away") from None


def check_table(raw: bytes) -> list[str]:
    """Names of the columns of a cells.csv. Raises ValueError for content that pandas would accept but read wrongly."""
    if not raw.strip():
        raise ValueError("it is empty")
    if b"\0" in raw:
        raise ValueError("it holds zeros, so it is no text in UTF-8")
    if raw[-1:] not in (b"\n", b"\r"):
        raise ValueError("its last line is cut")
    parts = raw.split(b'"')  # every second part stands between quotation marks
    if len(parts) % 2 == 0:
        raise ValueError("a quotation mark is not closed")
    plain = b"".join(parts[::2])
    width, rows = plain.partition(b"\n")[0].count(b","), plain.count(b"\n")
    if b"\r" in plain or b"\n\n" in plain or plain.count(b",") != width * rows:  # pandas itself refuses long rows
        check_rows(plain)
    header = next(line for line in csv.reader(io.TextIOWrapper(io.BytesIO(raw), "utf-8", newline="")) if line)
    if not set(NEEDED) <= set(header):
        raise ValueError(f"it lacks the columns {' and '.join(NEEDED)}")
    if twice := [name for i, name in enumerate(header) if name in (*header[:i], "run", NUMBER)]:
        raise ValueError(f"it has the column {twice[0]!r} twice")
    return header


def check_rows(plain: bytes) -> None:
    """Raises ValueError if a row has more or fewer values than the first. `plain` is the file without its quoted parts.

    It is slow, so it is called only where something looks wrong.
    """
    commas = [line.count(b",") for line in plain.splitlines() if line]
    for number, count in enumerate(commas, 1):
        if count != commas[0]:
            raise ValueError(f"row {number} has {count + 1} values for {commas[0] + 1} columns")


def typed(name: str, column: pd.Series) -> tuple[Any, Any]:
    """A column in two forms: as conditions see it, and as it is shown.

    A column that a study or a sweep added holds numbers if every value is written as a plain number. If whole numbers
    and others are mixed, they are shown as they were written.
    """
    import pandas as pd

    if name in MEASURED:
        return column, column
    if name in WHOLE:
        is_whole = not (column.dropna() % 1).any()
        column = column.astype("Int64") if is_whole else column
        return column, column
    if name in TEXTS:
        return column, column
    labels = column.dropna().unique().tolist()
    if not labels or not all(map(reads_back, labels)):
        return column, column
    if not any("." in label for label in labels):
        column = column.astype("Int64")
        return column, column
    numbers = column.map({label: float(label) for label in labels}).astype("float64")
    return numbers, numbers if all("." in label for label in labels) else pd.Series(column)


def reads_back(label: str) -> bool:
    """Whether a text is a plain decimal number, and is exactly how Python writes that number."""
    if not PLAIN.fullmatch(label) or len(label) > 20:
        return False
    return repr(float(label)) == label if "." in label else str(int(label)) == label and abs(int(label)) < 1 << 53


def holding(table: pd.DataFrame, where: str) -> NDArray[np.int64]:
    """Numbers of the rows for which the condition holds, ascending.

    Raises ValueError if the condition is refused or cannot be answered.
    """
    import duckdb
    import pandas as pd

    asked = f"--where {shortened(where, 80)!r}"
    lab = duckdb.connect(config=LOCKED)
    try:
        if reason := refusal(lab, where):
            raise ValueError(f"{asked} cannot be answered, since {reason}: {ONE}")
        lab.register("cells", table)
        lab.register("numbers", pd.DataFrame({NUMBER: np.arange(len(table))}))
        kinds = [str(kind) for kind in lab.sql(f"SELECT ({where}\n) FROM cells").types]  # noqa: S608 it is one condition
        if set(kinds) != {"BOOLEAN"}:
            raise ValueError(f"{asked} is no condition but {' and '.join(kinds)}: compare it, as in mean < 0.5")
        found = lab.execute(f'SELECT "{NUMBER}" FROM cells POSITIONAL JOIN numbers WHERE ({where}\n)').fetchnumpy()  # noqa: S608
        return np.sort(found[NUMBER])
    except (duckdb.Error, RuntimeError) as error:
        if "interrupted" in str(error).lower():
            raise KeyboardInterrupt from None
        said = shortened(str(error).split("\nLINE ")[0].split("\n\n")[0], 150)
        if "explicit cast" in said or "Could not convert string" in said:
            said += " (a column with other values than numbers is text: try_cast(setting AS DOUBLE) reads the numbers)"
        raise ValueError(f"{asked} cannot be answered: {said}") from None
    finally:
        lab.close()


def refusal(lab: Any, where: str) -> str:
    """Reason why a text is not one condition over the cells alone; empty if it is. Nothing of it is executed.

    The text is parsed once within parentheses and once within brackets. Only a whole expression is read alike in both:
    a text that closes our parenthesis does not close our bracket.
    """
    try:
        where.encode()
        in_parentheses, in_brackets = (tree(lab, f"SELECT {a}{where}\n{b}") for a, b in ("()", "[]"))
    except UnicodeEncodeError:
        return "it is no text in UTF-8"
    except RecursionError:
        return "it is nested too deeply"
    wrong = [str(one.get("error_message")) for one in (in_parentheses, in_brackets) if one["error"]]
    if any("expression depth" in said for said in wrong):
        return "it is nested too deeply"
    if len(wrong) == 2:
        return wrong[0] if wrong[0] == wrong[1] else "something is missing at its end"
    if wrong or len(in_brackets["statements"]) != 1:
        return "it is more than a condition"
    chosen = in_brackets["statements"][0]["node"]["select_list"]
    given = chosen[0].get("arguments", chosen[0].get("children", ()))
    if (len(chosen), chosen[0].get("function_name"), len(given)) != (1, "list_value", 1):
        return "it is more than a condition" if given else "it is empty"
    return next(filter(None, map(strange, inside(in_brackets))), "")


def strange(node: dict[str, Any]) -> str:
    """Reason why one part of a parsed condition asks for more than the cells; empty if it does not."""
    kind = str(node.get("type"))
    if "from_table" in node and kind != "SELECT_NODE":
        return "it selects in an unusual way"
    if (node.get("cte_map") or {}).get("map"):
        return "it has a WITH"
    is_table = "sample" in node and "alias" in node
    if is_table and (kind not in FROM or (kind == "BASE_TABLE" and node.get("table_name") != "cells")):
        return "it selects from something else than cells"
    if node.get("class") == "STAR" and node.get("columns"):
        return "it has COLUMNS"
    name = str(node.get("function_name")).lower()
    return f"it has the function {name}" if name in ENDLESS else ""


def tree(lab: Any, statement: str) -> dict[str, Any]:
    """Syntax tree of a statement, as DuckDB parses it."""
    return json.loads(lab.execute("SELECT json_serialize_sql(?)", [statement]).fetchall()[0][0])


def inside(content: Any) -> Iterator[dict[str, Any]]:
    """Yields every object in parsed JSON."""
    waiting = [content]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            yield node
            waiting += node.values()
        elif isinstance(node, list):
            waiting += node


def check_export(path: Path, folder: Path) -> None:
    """Raises ValueError if rows cannot be written to `path`, or if a later query would read that file as cells of a
    run.
    """
    if path.suffix not in (".csv", ".parquet"):
        raise ValueError(f"--export {path} must end in .parquet or .csv")
    if not path.parent.is_dir():
        raise ValueError(f"--export {path}: there is no folder {path.parent}")
    if (path.exists() and not path.is_file()) or (path.is_symlink() and path.parent.resolve() == Path("/dev")):
        raise ValueError(f"--export {path} is there and is no file: name another")
    if path.name == "cells.csv" and path.resolve().is_relative_to(folder.resolve()):
        raise ValueError(f"--export {path} would stand for a run of {folder}: name it otherwise, or write elsewhere")


def export(found: pd.DataFrame, path: Path) -> None:
    """Writes rows to a CSV or Parquet file, whole or not at all. Raises OSError or ValueError if that fails."""
    import duckdb

    try:
        if path.suffix == ".csv":
            return write_aside(path, found.to_csv(index=False))
        with aside(path) as other, duckdb.connect(config={"threads": 1}) as lab:
            lab.from_df(found).write_parquet(str(other))
            with other.open("rb") as file:
                os.fsync(file.fileno())
    except OSError as error:
        number = error.errno or 5
        raise OSError(number, os.strerror(number), str(path)) from None
    except duckdb.Error as error:
        if told := re.search(r'"errno":\s*"(\d+)"', str(error)):
            raise OSError(int(told.group(1)), os.strerror(int(told.group(1))), str(path)) from None
        raise ValueError(f"--export {path} cannot be written ({sentence(error)}): write elsewhere") from None
