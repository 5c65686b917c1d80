"""Write wasmill jobs as plain Python functions.

Owns: which function of a script is called, what its parameters are given, and where its result goes (docs/guest-abi.md has the
protocol). Does not know: wasmill's host; this is an ordinary script, and CPython an ordinary WASI program.

    import wasmill

    def count(text: str, letters_min: int = 1) -> dict:
        words = [word for word in text.split() if len(word) >= letters_min]
        return {"words": len(words)}

    def total(counts: wasmill.Each) -> int:
        return sum(count["words"] for _, count in counts)

wasmill mounts this file beside the script and starts it; a script that is no job of its own need not import it.
"""

import sys

# What is imported here is the standard library's, whatever the scripts beside this one are called.
_HERE = sys.path.pop(0) if __name__ == "__main__" else None

# Nothing is imported that a job may do without: that would be half of the time that a small job takes.
import json
from pathlib import Path
from types import GenericAlias, UnionType

if _HERE is not None:
    sys.path.append(_HERE)

IN = Path("/in")
OUT = Path("/out")
_RESULT = "result.json"
_BAD_NAME, _BAD_INPUT, _CANNOT_WRITE = 64, 65, 74


class Each:
    """The results of many jobs, as `{ jobs = "…" }` mounts them: pairs of a name and a value, sorted by name, read one at a time."""

    __class_getitem__ = classmethod(GenericAlias)

    def __init__(self, results):
        """`results` is a directory with one for each; or, to call a job in a test, a mapping of values."""
        self._results = results

    def __iter__(self):
        if isinstance(self._results, Path):
            for item in sorted(self._results.iterdir()):
                if not item.is_dir():
                    raise ValueError(f"`{item}` is no directory with the result of a job in it")
                yield item.name, _read(item)
        else:
            yield from sorted(self._results.items())


def progress(done, total):
    """Says how far the job is, in any units. It is no part of the result."""
    _remark({"is": "progress", "done": done, "total": total})


def log(message, level="info"):
    """Says something for people: `error`, `warn`, `info`, `debug` or `trace`. It is no part of the result. A long text is cut."""
    _remark({"is": "log", "level": level, "message": str(message)[:_MESSAGE_MAX]})


# Of no character there are more than six bytes, and no remark has more than 16 KiB.
_MESSAGE_MAX = 2_600


def _remark(remark):
    sys.stderr.write("\x1e" + json.dumps({"wasmill": 1, **remark}, separators=(",", ":")) + "\n")
    sys.stderr.flush()


class _Refusal(Exception):
    """Why a job is not called, or its result not written."""

    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


def _read(path):
    """A value: in a file, or where another job left its own."""
    file = path / _RESULT if path.is_dir() else path
    try:
        return json.loads(file.read_bytes())
    except FileNotFoundError:
        raise ValueError(f"`{path}` has no `{_RESULT}`: whoever left it is no job that returns a value") from None
    except ValueError as error:
        raise ValueError(f"in `{file}`: {error}") from None


def _wanted(annotation, function):
    """The type that a parameter is annotated with, if it is one that makes a difference."""
    if isinstance(annotation, str):
        try:
            annotation = eval(annotation, function.__globals__)
        except Exception:
            return None
    typing = sys.modules.get("typing")
    is_optional = typing is not None and getattr(annotation, "__origin__", None) is typing.Union
    if is_optional or isinstance(annotation, UnionType):
        there = [part for part in annotation.__args__ if part is not type(None)]
        annotation = there[0] if len(there) == 1 else object
    return getattr(annotation, "__origin__", annotation)


def _mounted(path, wanted):
    if wanted is Path:
        return path
    if wanted is str and not path.is_dir():
        return path.read_bytes().decode()
    if wanted is bytes:
        return path.read_bytes()
    if wanted is Each:
        if not path.is_dir():
            raise ValueError(f"`{path}` is a file, and a directory of results is wanted")
        return Each(path)
    if wanted is None and not (path / _RESULT).is_file():
        return path
    return _read(path)


def _made(wanted, value, function):
    """A value as the type that is wanted, where that is more than what JSON has."""
    if wanted is Each and not isinstance(value, Each):
        if not isinstance(value, dict):
            raise ValueError("it is neither a directory of results nor an object with a value for each name")
        return Each(value)
    if hasattr(wanted, "__dataclass_fields__") and isinstance(value, dict):
        fields = wanted.__dataclass_fields__
        of = lambda name: _wanted(fields[name].type, function) if name in fields else None
        return wanted(**{name: _made(of(name), part, function) for name, part in value.items()})
    return value


def _written(function):
    """The function that somebody wrote, below its decorators."""
    while hasattr(function, "__wrapped__"):
        function = function.__wrapped__
    return function


def _parameters(function, given):
    """What a function is called with: by position, and by name."""
    function = _written(function)
    code = function.__code__
    positional = code.co_varnames[: code.co_argcount]
    keyword = code.co_varnames[code.co_argcount : code.co_argcount + code.co_kwonlyargcount]
    optional = {*positional[len(positional) - len(function.__defaults__ or ()) :], *(function.__kwdefaults__ or ())}
    by_position, arguments = [], {}
    for name in (*positional, *keyword):
        path = IN / name
        is_mounted = path.is_symlink() or path.exists()
        if is_mounted and name in given:
            raise _Refusal(_BAD_INPUT, f"`{name}` is given twice: at `{path}`, and as a field of `input`")
        wanted = _wanted(function.__annotations__.get(name), function)
        try:
            if is_mounted:
                value = _mounted(path, wanted)
            elif name in given:
                value = given.pop(name)
            elif name in optional:
                continue
            else:
                why = f"nothing is given: mount something at `{path}`, or give a field `{name}` of `input`"
                raise _Refusal(_BAD_INPUT, f"`{name}`: {why}")
            value = _made(wanted, value, function)
        except (OSError, TypeError, ValueError) as error:
            raise _Refusal(_BAD_INPUT, f"`{name}`: {error}") from None
        if name in code.co_varnames[: code.co_posonlyargcount]:
            by_position.append(value)
        else:
            arguments[name] = value
    for unknown in given:
        takes = ", ".join(f"`{name}`" for name in (*positional, *keyword)) or "nothing"
        raise _Refusal(_BAD_INPUT, f"`input` has `{unknown}`, which the job does not take: it takes {takes}")
    return by_position, arguments


def _given():
    text = sys.stdin.buffer.read()
    try:
        given = json.loads(text) if text.strip() else {}
    except ValueError as error:
        raise _Refusal(_BAD_INPUT, f"standard input is no JSON: {error}") from None
    if given is not None and not isinstance(given, dict):
        raise _Refusal(_BAD_INPUT, "it is an object with a field for each parameter, and this is something else")
    return given or {}


def _as_json(value):
    """A value of a type that JSON has not."""
    if hasattr(value, "__dataclass_fields__"):
        fields = value.__dataclass_fields__.values()
        return {field.name: getattr(value, field.name) for field in fields if field._field_type.name == "_FIELD"}
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"a `{type(value).__name__}` has no form in JSON")


def _jobs(script):
    """The functions of a script that are its own and not private."""
    jobs = {}
    for name, value in vars(script).items():
        is_own = getattr(value, "__module__", None) == script.__name__ and not name.startswith("_")
        if is_own and not isinstance(value, type) and hasattr(_written(value), "__code__"):
            jobs[name] = value
    return jobs


def _no_such_job(file, entry, jobs):
    from difflib import get_close_matches

    near = get_close_matches(entry, jobs, 1)
    hint = f"did you mean `{near[0]}`?" if near else "it has " + (", ".join(f"`{name}`" for name in sorted(jobs)) or "none")
    return f"{file} has no job `{entry}`: {hint}"


def _load(path):
    """The script as a module. Its name is that of the file, where that is nobody else's."""
    from types import ModuleType

    name = path.stem if path.stem not in sys.stdlib_module_names else f"{path.stem}_script"
    script = ModuleType(name)
    script.__file__ = str(path)
    sys.modules[name] = script
    exec(compile(path.read_bytes(), str(path), "exec"), script.__dict__)
    return script


def _log_through_wasmill():
    """Has the standard library's `logging` say what it says as remarks, where the script uses it and has not set it up itself."""
    logging = sys.modules.get("logging")
    if logging is None or logging.root.handlers:
        return

    class Handler(logging.Handler):
        def emit(self, record):
            levels = ((40, "error"), (30, "warn"), (20, "info"), (10, "debug"), (0, "trace"))
            log(self.format(record), next(name for number, name in levels if record.levelno >= number))

    logging.root.addHandler(Handler())
    logging.root.setLevel(logging.DEBUG)


def _write(value):
    try:
        text = json.dumps(value, default=_as_json, allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise _Refusal(_CANNOT_WRITE, f"the result cannot be written as JSON: {error}") from None
    (OUT / _RESULT).write_bytes(text + b"\n")


def _main(file, entry):
    script = _load(Path(__file__).with_name(file))
    _log_through_wasmill()
    jobs = _jobs(script)
    if entry not in jobs:
        raise _Refusal(_BAD_NAME, _no_such_job(file, entry, jobs))
    # Coroutines, generators, and both.
    if _written(jobs[entry]).__code__.co_flags & (0x20 | 0x80 | 0x200):
        raise _Refusal(_BAD_NAME, f"`{entry}` of {file} is no job: a job is a function that returns its result, neither async nor a generator")
    try:
        by_position, arguments = _parameters(jobs[entry], _given())
    except _Refusal as refusal:
        raise _Refusal(refusal.code, f"the input does not fit the job `{entry}`\n  caused by: {refusal}") from None
    value = jobs[entry](*by_position, **arguments)
    if value is not None:
        _write(value)


def _end(error):
    """Says what a script raised, as Python does, without the frames of this file."""
    import traceback

    frames = error.__traceback__
    while frames is not None and frames.tb_frame.f_code.co_filename == __file__:
        frames = frames.tb_next
    traceback.print_exception(error.with_traceback(frames))
    sys.exit(1)


if __name__ == "__main__":
    sys.modules["wasmill"] = sys.modules["__main__"]
    _, file, entry, *rest = sys.argv
    sys.argv = [file, *rest]
    try:
        _main(file, entry)
    except _Refusal as refusal:
        sys.stderr.write(f"error: {refusal}\n")
        sys.exit(refusal.code)
    except Exception as error:
        _end(error)
