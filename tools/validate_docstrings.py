"""Validate the docstrings of a package: numpydoc's checks, plus presence and the Raises section.

``python tools/validate_docstrings.py mimtpy_cloud`` prints one line a finding and exits 1 if there is any.
What is asked, of public objects only (no leading underscore anywhere in the name):

- every module, class, function, method and property has a docstring;
- a function says all that numpydoc checks (the list is in pyproject.toml): its Parameters are those of its
  signature, in order, with types and descriptions; it has Returns if it returns; its summary is one imperative line;
- it lists under Raises every exception that it raises itself (numpydoc has no check of that);
- a method may say what it does or gives in one line, but if it has sections they are held to the same;
- the Parameters of a dataclass are its fields;
- a command of the command line has a docstring, which is its help and says nothing of Python.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

from numpydoc.docscrape import NumpyDocString
from numpydoc.hooks.validate_docstrings import parse_config, process_file

Function = ast.FunctionDef | ast.AsyncFunctionDef
Documented = ast.Module | ast.ClassDef | Function

# What a line such as "Columns of the window." may lack where no call is described.
ONLY_IN_FUNCTIONS = {"PR01", "RT01", "SS05"}
# numpydoc does not know that the fields of a dataclass are the parameters of the class.
WRONG_FOR_DATACLASSES = {"PR01", "PR02", "PR03"}


def main(folders: list[str]) -> int:
    """Print every finding in the given folders and return the exit status."""
    files = sorted(path for folder in folders for path in Path(folder).rglob("*.py"))
    if not files:
        print(f"no Python file in {folders}", file=sys.stderr)
        return 2
    config = parse_config(Path.cwd())
    if not config["checks"]:
        print("no numpydoc check is configured in pyproject.toml", file=sys.stderr)
        return 2
    findings = [finding for path in files for finding in check_file(path, config)]
    print("\n".join(findings) or f"docstrings of {len(files)} modules are complete")
    return int(bool(findings))


def check_file(path: Path, config: dict[str, object]) -> Iterator[str]:
    """Yield the findings of one file, numpydoc's first."""
    tree = ast.parse(path.read_text())
    objects = dict(public_objects(tree, path.stem))
    for place, name, check, description in process_file(str(path), config):
        if name in objects and check not in not_asked(objects[name], is_method=name.count(".") > 1):
            yield f"{place}: {name}: {check} {description}"
    for name, node in objects.items():
        place = f"{path}:{getattr(node, 'lineno', 1)}: {name}"
        text = ast.get_docstring(node)
        if text is None:
            yield f"{place}: has no docstring"
        elif is_command(node):
            continue
        elif isinstance(node, Function) and (has_sections(text) or name.count(".") == 1):
            for error in sorted(raised(node) - documented(text, "Raises")):
                yield f"{place}: raises {error}, which its Raises section does not list"
        elif isinstance(node, ast.ClassDef) and is_dataclass(node) and has_sections(text):
            for field in sorted(fields(node) ^ documented(text, "Parameters")):
                yield f"{place}: {field} is either a field that Parameters does not list or the reverse"


def not_asked(node: Documented, *, is_method: bool) -> set[str]:
    """Codes of the checks that make no sense for this kind of object."""
    if isinstance(node, ast.ClassDef) and is_dataclass(node):
        return ONLY_IN_FUNCTIONS | WRONG_FOR_DATACLASSES
    if isinstance(node, Function) and not is_method and not is_command(node):
        return set()
    if isinstance(node, Function) and has_sections(ast.get_docstring(node) or ""):
        return {"SS05"}
    return ONLY_IN_FUNCTIONS


def public_objects(node: ast.Module | ast.ClassDef, name: str) -> Iterator[tuple[str, Documented]]:
    """Yield a module or class and what it defines in public, with dotted names."""
    yield name, node
    for child in node.body:
        if isinstance(child, ast.ClassDef | Function) and not child.name.startswith("_"):
            if isinstance(child, ast.ClassDef):
                yield from public_objects(child, f"{name}.{child.name}")
            else:
                yield f"{name}.{child.name}", child


def has_sections(text: str) -> bool:
    """Whether a docstring has any numpydoc section, which is underlined."""
    return any(line.strip() and not line.strip().strip("-") for line in text.splitlines())


def raised(function: Function) -> set[str]:
    """Names of the exceptions that the body itself raises; nested functions do not count."""
    names: set[str] = set()
    todo: list[ast.AST] = list(function.body)
    while todo:
        node = todo.pop()
        if isinstance(node, ast.ClassDef | Function | ast.Lambda):
            continue
        if isinstance(node, ast.Raise) and node.exc is not None:
            target = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
            name = target.attr if isinstance(target, ast.Attribute) else getattr(target, "id", "")
            if name[:1].isupper():
                names.add(name)
        todo.extend(ast.iter_child_nodes(node))
    return names


def documented(text: str, section: str) -> set[str]:
    """Names that a section lists, without their modules."""
    entries = NumpyDocString(text)[section]
    names = (part for entry in entries for part in (entry.name or entry.type).split(","))
    return {name.strip().rpartition(".")[2] for name in names}


def is_command(node: Documented) -> bool:
    """Whether a function is a command or a group of click."""
    decorators = node.decorator_list if isinstance(node, Function) else []
    return any(ast.unparse(decorator).split("(")[0].endswith((".command", ".group")) for decorator in decorators)


def is_dataclass(node: ast.ClassDef) -> bool:
    """Whether a class is made by the dataclass decorator, with or without options."""
    return any("dataclass" in ast.unparse(decorator) for decorator in node.decorator_list)


def fields(node: ast.ClassDef) -> set[str]:
    """Fields of a dataclass that its constructor takes in public."""
    annotated = (child for child in node.body if isinstance(child, ast.AnnAssign))
    names = {ast.unparse(child.target) for child in annotated if "ClassVar" not in ast.unparse(child.annotation)}
    return {name for name in names if not name.startswith("_")}


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:] or ["mimtpy_cloud"]))
