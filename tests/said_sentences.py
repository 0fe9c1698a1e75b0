"""What the program may say to a visitor, read from its source.

A sentence is found where it is written: in the errors people may read, and in every string of two
or more words below the screen that is not a docstring, a log line, a pattern of axes, an assertion
or a bug's text.
A placeholder's own words (`"1 face was" if most == 1 else …`) are found too.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1] / "lipsync"
# heard in a terminal or by a program only, where English is spoken
_ENGLISH = ("cli", "train", "bench", "doctor.py", "__main__.py", "ui/api.py")
_ERRORS = ("InputError", "OutputError", "FetchError", "_WrongError", "_BrokenOffError")
_TWO_WORDS = re.compile(r"[A-Za-z]\S* (\S+ )*?\S*[A-Za-z]")
_IDENTIFIER = re.compile(r"[A-Za-z]+(_[A-Za-z]+)+")  # TMPDIR_NAME, offset_frames: no words
# strings of several words that no screen shows
_UNSAID = {
    "AI-generated lip sync (Lipsync Studio, {} engine)",  # a tag inside the file
    # what resident parts are called, and the files they come from
    *("UNet {}{}", " compiled", "VAE {}", "Whisper encoder {}", "Wav2Lip {} {}"),
    *("sd-vae-ft-mse", "whisper-tiny", "whisper-small"),
    "~/Library/Application Support",
}


@dataclass
class _Module:
    """One source file, and which strings each of its names can stand for."""

    path: Path
    tree: ast.Module
    words: dict[str, list[ast.expr]] = field(default_factory=dict)


def read_sentences() -> dict[str, str]:
    """Return every template that can reach the screen, ``{}`` for a placeholder -> where it is."""
    found: dict[str, str] = {}
    modules = [_read_module(path) for path in sorted(PACKAGE.rglob("*.py")) if _is_heard(path)]
    constants: dict[str, list[ast.expr]] = {}
    for module in modules:
        for statement in module.tree.body:
            if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
                constants[statement.targets[0].id] = [statement.value]
    for module in modules:
        for node in _spoken(module):
            for text in _spell_out(node, module, constants):
                place = f"{module.path.relative_to(PACKAGE)}:{node.lineno}"
                if text not in _UNSAID:
                    found.setdefault(text, place)
    return found


def _is_heard(path: Path) -> bool:
    place = path.relative_to(PACKAGE)
    return place.parts[0] not in _ENGLISH and place.as_posix() not in _ENGLISH


def _read_module(path: Path) -> _Module:
    module = _Module(path, ast.parse(path.read_text("utf-8")))
    functions = {n.name: n for n in ast.walk(module.tree) if isinstance(n, ast.FunctionDef)}
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                _note(module, target, node.value)
        elif isinstance(node, ast.For) and isinstance(node.iter, ast.Tuple | ast.List):
            for value in node.iter.elts:
                _note(module, node.target, value)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute):
            name = node.func.id if isinstance(node.func, ast.Name) else node.func.attr
            if name in functions:
                arguments = functions[name].args.args
                if arguments and arguments[0].arg == "self":
                    arguments = arguments[1:]
                for argument, value in zip(arguments, node.args, strict=False):
                    module.words.setdefault(argument.arg, []).append(value)
    return module


def _note(module: _Module, target: ast.expr, value: ast.expr) -> None:
    if isinstance(target, ast.Name):
        module.words.setdefault(target.id, []).append(value)
    elif isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        for one, its_value in zip(target.elts, value.elts, strict=False):
            _note(module, one, its_value)


def _spoken(module: _Module) -> Iterator[ast.expr]:
    """Yield the strings of a module that are said to people."""
    on_screen = module.path.is_relative_to(PACKAGE / "ui")
    silent: set[ast.AST] = set()
    for node in ast.walk(module.tree):
        is_doc = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        is_unsaid = isinstance(node, ast.Assert) or _is_pattern(node)
        if is_doc or is_unsaid or _is_log(node) or _is_bug(node):
            silent.update(ast.walk(node))
        elif isinstance(node, ast.JoinedStr):
            silent.update(part for part in node.values if isinstance(part, ast.Constant))
        elif isinstance(node, ast.Call) and _name(node.func) in _ERRORS and node.args:
            yield node.args[0]
    for node in ast.walk(module.tree):
        if node in silent or on_screen:  # the screen's other words come from its locale files
            continue
        if isinstance(node, ast.JoinedStr | ast.Constant) and _reads_as_words(node):
            yield node


def _name(function: ast.expr) -> str:
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def _is_log(node: ast.AST) -> bool:
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return False
    return isinstance(node.func.value, ast.Name) and node.func.value.id.endswith("log")


def _is_pattern(node: ast.AST) -> bool:
    """Say whether a call names axes, as in ``rearrange(tensor, "b c -> c b")``."""
    return isinstance(node, ast.Call) and _name(node.func) in ("rearrange", "repeat", "reduce")


def _is_bug(node: ast.AST) -> bool:
    if not isinstance(node, ast.Raise) or not isinstance(node.exc, ast.Call):
        return False
    return _name(node.exc.func) not in _ERRORS


def _reads_as_words(node: ast.JoinedStr | ast.Constant) -> bool:
    if isinstance(node, ast.Constant) and not isinstance(node.value, str):
        return False
    text = _template(node)
    return "\n" not in text and _TWO_WORDS.search(text.replace("{}", "x1")) is not None


def _template(node: ast.JoinedStr | ast.Constant) -> str:
    if isinstance(node, ast.Constant):
        return str(node.value)
    parts = (str(p.value) if isinstance(p, ast.Constant) else "{}" for p in node.values)
    return "".join(parts)


def _spell_out(
    node: ast.expr, module: _Module, constants: dict[str, list[ast.expr]], depth: int = 0
) -> Iterator[str]:
    """Yield every template the expression can be, then those of its placeholders."""
    if depth > 4:
        return
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        if re.search(r"[A-Za-z]", node.value) and not _IDENTIFIER.fullmatch(node.value):
            yield node.value
    elif isinstance(node, ast.JoinedStr):
        yield _template(node)
        for part in node.values:
            # a value in quotes (!r) is a name of something, not a word
            if isinstance(part, ast.FormattedValue) and part.conversion == -1:
                yield from _spell_out(part.value, module, constants, depth + 1)
    elif isinstance(node, ast.IfExp):
        yield from _spell_out(node.body, module, constants, depth + 1)
        yield from _spell_out(node.orelse, module, constants, depth + 1)
    elif isinstance(node, ast.BoolOp):
        for value in node.values:
            yield from _spell_out(value, module, constants, depth + 1)
    elif isinstance(node, ast.Name):
        for value in module.words.get(node.id) or constants.get(node.id, []):
            yield from _spell_out(value, module, constants, depth + 1)
