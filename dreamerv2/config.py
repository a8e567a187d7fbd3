"""Settings: an immutable nested dict, its named blocks, and the command line.

    config = defaults().update({"logdir": "~/logdir/minigrid", "rssm.deter": 200}).parse_flags()
    config.rssm.deter, config["rssm.deter"], config["rssm"]["deter"]   # three ways to the same

Keys are those of DreamerV2 2.2.0 (its configs.yaml); a key with other characters than letters,
digits, "_", "-" and "." is a regular expression and sets every key that it matches from its start.
"""

import functools
import json
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from kit.command.errors import UserError, say
from kit.files.atomic import write_json, write_text

HERE = Path(__file__).parent
PATTERN = re.compile(r"[^A-Za-z0-9_.-]")
SCHEDULED = ("actor_ent", "actor_grad_mix")  # a number, or a schedule of the step
SCHEDULE = re.compile(r"(linear|warmup|exp|horizon)\([^()]*\)")
EXAMPLES = {bool: "True or False", int: "a whole number", float: "a number", str: "text"}


class Config(dict):
    """A nested dict of numbers, texts, truth values and tuples of them; see the module's text.

    Raises UserError for an unknown key and for a value of another type.
    """

    def __init__(self, mapping: Mapping[str, Any] = ()):
        super().__init__()
        for key, value in dict(mapping).items():
            if isinstance(value, Mapping):
                value = Config(value)
            elif isinstance(value, list | tuple):
                value = tuple(value)
            super().__setitem__(key, value)

    @property
    def flat(self) -> dict[str, Any]:
        """Every value under its dotted key."""
        return dict(_flatten(self))

    def __getitem__(self, name: str):
        value = self
        for part in name.split("."):
            value = dict.__getitem__(value, part)
        return value

    def __contains__(self, name: str) -> bool:
        try:
            self[name]
        except (KeyError, TypeError):
            return False
        return True

    def __getattr__(self, name: str):
        try:
            return dict.__getitem__(self, name)
        except KeyError:
            raise AttributeError(name) from None

    def _refuse(self, *args, **kwargs):
        raise AttributeError("a Config is immutable: update() returns a changed copy")

    __setattr__ = __setitem__ = __delitem__ = __delattr__ = __ior__ = _refuse
    pop = popitem = clear = setdefault = _refuse

    def __reduce__(self):
        return Config, (_plain(self),)

    def __str__(self) -> str:
        width = max(map(len, self.flat), default=0)
        return "\n".join(f"{key:{width}}  {_text(value)}" for key, value in self.flat.items())

    def update(self, *args, **kwargs) -> "Config":
        """A copy with other values: `update({"rssm.deter": 200, "rssm": {"stoch": 8}})`."""
        flat = self.flat
        for key, value in _flatten(dict(*args, **kwargs)):
            for name in self._matching(key):
                flat[name] = _convert(name, flat[name], value)
        return Config(_nest(flat))

    def _matching(self, key: str) -> list[str]:
        """The keys that `key` names."""
        names = [key] if key in self.flat else []
        if PATTERN.search(key):
            try:
                names = [name for name in self.flat if re.match(key, name)]
            except re.error as error:
                raise UserError(f"{key}: no regular expression ({error})") from error
        if not names:
            close = [name for name in self.flat if key.split(".")[-1] in name.split(".")]
            advice = f"is it {close[0]}?" if close else "--help lists all"
            raise UserError(f"{key}: expected the name of a setting, {advice}")
        return names

    def parse_flags(self, argv: Sequence[str] | None = None) -> "Config":
        """A copy with the values of `--key value ...` and `--key=value`; --help lists all keys.

        Without `argv` the flags are the command's own: a wrong one ends it with one sentence and
        status 2. With `argv` it raises UserError.
        """
        if argv is not None:
            return self.update(_read_flags(argv))
        if "--help" in sys.argv[1:] or "-h" in sys.argv[1:]:
            print(self.describe())
            sys.exit(0)
        try:
            return self.update(_read_flags(sys.argv[1:]))
        except UserError as error:
            say(error)
            sys.exit(2)

    def describe(self) -> str:
        """A line for each key: the flag, its value, what it means."""
        words = explanations()
        rows = [(f"--{key} {_text(value)}", words.get(key, "")) for key, value in self.flat.items()]
        return "\n".join(f"{flag:44}  {text}" for flag, text in rows)

    def save(self, path: str | os.PathLike) -> None:
        """Write as yaml or json, by the suffix."""
        if Path(path).suffix == ".json":
            write_json(path, _plain(self), indent=2)
        else:
            write_text(path, yaml.safe_dump(_plain(self), sort_keys=False))

    @classmethod
    def load(cls, path: str | os.PathLike) -> "Config":
        """Read what `save` wrote; UserError where it is missing, damaged or no mapping."""
        read = json.loads if Path(path).suffix == ".json" else yaml.safe_load
        try:
            value = read(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            raise UserError(f"{path} cannot be read: {error.strerror or error}") from error
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            raise UserError(f"{path}: no complete yaml or json ({error})") from error
        if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
            raise UserError(f"{path}: expected settings by name, found {type(value).__name__}")
        return cls(value)


@functools.cache
def _blocks() -> dict[str, dict]:
    return yaml.safe_load((HERE / "configs.yaml").read_text(encoding="utf-8"))


@functools.cache
def explanations() -> dict[str, str]:
    """What each key means: dotted key -> text."""
    return yaml.safe_load((HERE / "help.yaml").read_text(encoding="utf-8"))


def defaults() -> Config:
    """Every key with its default."""
    return Config(_blocks()["defaults"])


def configs() -> dict[str, dict]:
    """The other named blocks: name -> what it changes."""
    return {name: block for name, block in _blocks().items() if name != "defaults"}


def from_blocks(names: Sequence[str]) -> Config:
    """The defaults with these blocks on top, in their order; UserError for an unknown one."""
    config, known = defaults(), configs()
    for name in names:
        if name not in known and name != "defaults":
            raise UserError(f"--configs: expected {', '.join(known)}, found {name!r}")
        config = config.update(known.get(name, {}))
    return config


def from_command_line(argv: Sequence[str] | None = None, extra: str = "") -> Config:
    """What a command is to do: --configs names blocks, every other flag is a key.

    `extra` is printed above the keys where --help asks for them.
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    asked = "--help" in argv or "-h" in argv
    flags = {} if asked else _read_flags(argv)
    names = flags.pop("configs", [])
    if asked:
        print(f"{extra}\n\n--configs  blocks of settings: {', '.join(configs())}\n")
        print(defaults().describe())
        sys.exit(0)
    return from_blocks(names).update(flags)


def _read_flags(argv: Sequence[str]) -> dict[str, list[str]]:
    """Flag -> the words that follow it; UserError where there are none, or a word has no flag."""
    flags: dict[str, list[str]] = {}
    key = None
    for word in argv:
        if word.startswith("--"):
            key, equals, value = word[2:].partition("=")
            flags[key] = [value] if equals else []
        elif key is None:
            raise UserError(f"expected a flag such as --task, found {word!r}")
        else:
            flags[key].append(word)
    for key, words in flags.items():
        if not words:
            raise UserError(f"--{key}: expected a value after it, found none")
    return flags


def _convert(key: str, old: Any, new: Any) -> Any:
    """`new` as the type of `old`; a list of words is what the command line gave."""
    if isinstance(old, tuple):
        if isinstance(new, list | tuple) and len(new) == 1 and isinstance(new[0], str):
            new = new[0].split(",")
        new = new if isinstance(new, list | tuple) else [new]
        if not new:
            raise UserError(f"{key}: expected at least one value, found none")
        return tuple(_convert_one(key, old[0], value) for value in new)
    if isinstance(new, list | tuple):
        if len(new) != 1:
            raise UserError(f"{key}: expected one value, found {len(new)}")
        new = new[0]
    return _convert_one(key, old, new)


def _convert_one(key: str, old: Any, new: Any) -> Any:
    kind = float if key in SCHEDULED else type(old)
    try:
        if kind is bool:
            return {"True": True, "False": False}[str(new).capitalize()]
        if isinstance(new, bool) and kind is not str:
            raise ValueError
        if kind is int:
            if float(new) != int(float(new)):
                raise ValueError
            return int(float(new))  # 1e5 is a whole number
        if kind is str and isinstance(new, Mapping):
            raise ValueError
        if key in SCHEDULED and SCHEDULE.fullmatch(str(new)):
            return str(new)
        value = kind(new)
        if value != value:
            raise ValueError
        return value
    except (ValueError, TypeError, KeyError, OverflowError):
        expected = EXAMPLES[kind] + (" or a schedule" if key in SCHEDULED else "")
        raise UserError(f"{key}: expected {expected}, found {str(new)[:40]!r}") from None


def _flatten(mapping: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in mapping.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _nest(flat: Mapping[str, Any]) -> dict:
    result: dict = {}
    for key, value in flat.items():
        *parents, name = key.split(".")
        node = result
        for parent in parents:
            node = node.setdefault(parent, {})
        node[name] = value
    return result


def _plain(value: Any) -> Any:
    """Plain dicts and lists, for yaml, json and pickle between processes."""
    if isinstance(value, Mapping):
        return {key: _plain(part) for key, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, tuple) else value


def _text(value: Any) -> str:
    return ",".join(map(_text, value)) if isinstance(value, tuple) else json.dumps(value).strip('"')
