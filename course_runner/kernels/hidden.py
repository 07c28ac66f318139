"""Import libraries ahead of time, and keep them out of sight until a forked process imports them.

While `Libraries.record` is on, each module's own needs are noted: what it imported, which warning filters, environment
variables, exit functions, import hooks and logger settings it left behind. `Libraries.hide` takes the modules out of
``sys.modules``, unbinds them from their packages and takes back what they left behind. An import then finds the hidden
module instead of executing its file again, and brings back what an ordinary import would leave: the modules that it
needs, and their effects. A file that stands before a library on ``sys.path`` wins, as always.
"""

from __future__ import annotations

import sys

#: What an interpreter has loaded before the first line of a program.
_BARE = frozenset(name for name in sys.modules if not name.startswith(("course_utils", "course_runner")))

import atexit  # noqa: E402
import builtins  # noqa: E402
import importlib._bootstrap as bootstrap  # noqa: E402
import os  # noqa: E402
import warnings  # noqa: E402
from importlib.machinery import ModuleSpec, PathFinder  # noqa: E402

TYPE_CHECKING = False  # `typing` loads a dozen modules, which nobody has recorded yet
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

_MISSING = object()
#: `importlib_metadata` takes this method away, for itself to be the only one that finds distributions.
_FIND_DISTRIBUTIONS = vars(PathFinder).get("find_distributions")
#: What is behind ``os.environ``: comparing that itself twice for each module takes half a second in all.
_VARIABLES = os.environ._data  # type: ignore[attr-defined]
_STREAMS = ("stdin", "stdout", "stderr", "__stdin__", "__stdout__", "__stderr__")


class _Record:
    """What executing one module did."""

    def __init__(self, before: Any = _MISSING) -> None:
        self.needs: dict[str, None] = {}
        self.filters: list[tuple[bool, Any]] = []  # (at the end?, filter), in the order in which they came
        self.environment: dict[str, str] = {}
        self.exits: list[tuple[Callable, tuple, dict]] = []
        self.finders: list[Any] = []
        self.loggers: list[tuple[Any, str, Any]] = []  # (logger, method, argument)
        #: What the package had under the module's name before (a placeholder that imports on first use), and its contents.
        self.before = before
        self.contents = dict(vars(before)) if isinstance(before, type(sys)) else None


class _Recording:
    """Stands for a module's loader while the module is executed."""

    def __init__(self, libraries: Libraries, loader: Any) -> None:
        self.libraries, self.loader = libraries, loader

    def create_module(self, spec: ModuleSpec) -> Any:
        return self.loader.create_module(spec) if hasattr(self.loader, "create_module") else None

    def exec_module(self, module: Any) -> None:
        spec = module.__spec__
        spec.loader = self.loader
        if getattr(module, "__loader__", None) is self:
            module.__loader__ = self.loader
        self.libraries._execute(spec.name, self.loader, module)


class _Showing:
    """Loader of a hidden module."""

    def __init__(self, libraries: Libraries) -> None:
        self.libraries = libraries

    def create_module(self, spec: ModuleSpec) -> None:
        return None  # importlib's own, which `exec_module` replaces

    def exec_module(self, module: Any) -> None:
        self.libraries._note()
        self.libraries.show(module.__spec__.name)
        self.libraries._known.update(sys.modules)
        self.libraries._remember()


class Libraries:
    """A finder of modules that records what is imported, hides it, and shows it again when it is asked for."""

    def __init__(self) -> None:
        self.hidden: dict[str, Any] = {}
        self._records: dict[str, _Record] = {}
        self._bound: set[str] = set()
        self._held: dict[str, dict[str, str]] = {}
        self._stack: list[_Record] = []
        self._undo: Callable[[], None] | None = None
        self._path: list[str] = []
        self._known: set[str] = set()
        self._noted: list[Any] = []
        self._variables: dict[Any, Any] | None = None
        #: Standard error of the process that imports the libraries, to which their log handlers write.
        self._errors = sys.stderr

    # Recording

    def record(self) -> None:
        """Note from now on what each module does that is imported for the first time."""
        if self._undo is not None:
            return
        real_import, real_gcd, real_register = builtins.__import__, bootstrap._gcd_import, atexit.register

        def import_(name: str, globals: Any = None, locals: Any = None, fromlist: Any = (), level: int = 0) -> Any:
            module = real_import(name, globals, locals, fromlist, level)
            if self._stack:
                self._need_all(name, globals, fromlist or (), level, module)
            return module

        def gcd_import(name: str, package: str | None = None, level: int = 0) -> Any:
            module = real_gcd(name, package, level)
            if self._stack:
                self._need(module.__name__ if level else name)
            return module

        def register(function: Callable, *arguments: Any, **named: Any) -> Callable:
            owner = self._records.get(getattr(function, "__module__", ""), self._stack[-1] if self._stack else None)
            if owner is None:
                return real_register(function, *arguments, **named)
            owner.exits.append((function, arguments, named))
            return function

        def undo() -> None:
            builtins.__import__, bootstrap._gcd_import, atexit.register = real_import, real_gcd, real_register
            for module in list(sys.modules.values()):  # copies made by `from atexit import register`
                names = getattr(module, "__dict__", None) or {}
                for name in [n for n in ("register", "__import__") if names.get(n) in (register, import_)]:
                    names[name] = real_register if name == "register" else real_import

        builtins.__import__, bootstrap._gcd_import, atexit.register = import_, gcd_import, register
        self._undo = undo
        if self not in sys.meta_path:
            sys.meta_path.insert(0, self)
        self._known.update(sys.modules)
        self._remember()
        self._start = self._filters, self._environment, self._finders

    def _remember(self) -> None:
        self._filters, self._finders, self._count = list(warnings.filters), list(sys.meta_path), len(sys.modules)
        if _VARIABLES != self._variables:
            self._variables, self._environment = dict(_VARIABLES), dict(os.environ)

    def _note(self) -> None:
        """Add what has changed since the last time to the record of the module that is being executed."""
        top = self._stack[-1] if self._stack else _Record()
        if warnings.filters != self._filters:
            added = [f for f in warnings.filters if f not in self._filters and f not in self._noted]
            old = [n for n, f in enumerate(warnings.filters) if f in self._filters]
            front = [f for f in added if not old or warnings.filters.index(f) < old[0]]
            top.filters += [(False, f) for f in reversed(front)] + [(True, f) for f in added if f not in front]
            self._noted += added
        if _VARIABLES != self._variables:
            top.environment.update({k: v for k, v in os.environ.items() if self._environment.get(k) != v})
        if sys.meta_path != self._finders:
            top.finders += [finder for finder in sys.meta_path if finder not in self._finders]
        if len(sys.modules) != self._count:  # put there by the module itself
            new = [name for name in sys.modules if name not in self._known]
            top.needs.update(dict.fromkeys(new))
            self._known.update(new)
        self._remember()

    def _execute(self, name: str, loader: Any, module: Any) -> None:
        """Execute a module for the first time, and record what it does."""
        self._known.add(name)
        self._count += 1
        self._note()
        package, _, child = name.rpartition(".")
        before = vars(sys.modules[package]).get(child, _MISSING) if package in sys.modules else _MISSING
        record = self._records[name] = _Record(before)
        self._stack.append(record)
        try:
            loader.exec_module(module)
        finally:
            self._note()
            self._stack.pop()
        if name == "logging":
            self._watch_loggers(module)
        if type(loader).__name__ == "ExtensionFileLoader":  # compiled code imports past builtins.__import__
            found = (value.__name__ for value in vars(module).values() if type(value) is type(sys))
            record.needs.update(dict.fromkeys(name for name in found if name in sys.modules))

    def _watch_loggers(self, logging: Any) -> None:
        """Record what modules do to loggers."""
        methods = {name: getattr(logging.Logger, name) for name in ("addHandler", "setLevel")}
        undo = self._undo

        def watched(name: str) -> Callable:
            def method(logger: Any, value: Any) -> None:
                if self._stack and logger is not logging.root:
                    self._stack[-1].loggers.append((logger, name, value))
                methods[name](logger, value)

            return method

        def undo_all() -> None:
            for name, method in methods.items():
                setattr(logging.Logger, name, method)
            undo()

        for name in methods:
            setattr(logging.Logger, name, watched(name))
        self._undo = undo_all

    def _need(self, name: str) -> None:
        self._stack[-1].needs[name] = None

    def _need_all(self, name: str, globals: Any, fromlist: Sequence[str], level: int, module: Any) -> None:
        if level:
            package = (globals.get("__package__") or globals["__name__"]).split(".")
            if globals.get("__package__") is None and "__path__" not in globals:
                package.pop()
            name = ".".join([*package[: len(package) - level + 1], *filter(None, [name])])
        self._need(name)
        for item in getattr(module, "__all__", ()) if "*" in fromlist else fromlist:
            full = f"{name}.{item}"
            if full in sys.modules and (full not in self._records or self._records[full].before is _MISSING):
                self._need(full)  # otherwise the package's placeholder is what an ordinary process gets

    # Hiding

    def hide(self) -> None:
        """Stop recording, and take everything back that an interpreter does not have at its start."""
        self._note()
        if self._undo:
            self._undo()
            self._undo = None
        self.hidden |= {name: sys.modules.pop(name) for name in list(sys.modules) if name not in _BARE}
        for name, module in self.hidden.items():
            package, _, child = name.rpartition(".")
            names = getattr(self.peek(package), "__dict__", {})
            if package and names.get(child) is module:
                self._bound.add(name)
                record = self._records.get(name, _Record())
                if record.before is _MISSING or record.before is module:
                    del names[child]
                else:
                    names[child] = record.before
                    if record.contents is not None:
                        vars(record.before).clear()
                        vars(record.before).update(record.contents)
        for record in self._records.values():  # without those that were set for a while
            record.filters = [one for one in record.filters if one[1] in warnings.filters]
        filters, environment, finders = self._start
        _set_filters(filters)
        for variable in set(os.environ) - set(environment):
            del os.environ[variable]
        sys.meta_path[:] = finders
        PathFinder.find_distributions = _FIND_DISTRIBUTIONS
        self._path, self._errors = list(sys.path), sys.stderr
        self._hide_loggers()
        # What modules keep of the process that imports them: its standard streams and its folder.
        streams, here = {id(getattr(sys, name)): name.strip("_") for name in _STREAMS}, os.getcwd()
        for name, module in self.hidden.items():
            names = getattr(module, "__dict__", {})
            held = {key: streams[id(value)] for key, value in names.items() if id(value) in streams}
            held |= {key: "folder" for key, value in names.items() if type(value) is str and value == here}
            if held:
                self._held[name] = held

    def _hide_loggers(self) -> None:
        """Give the loggers that libraries set up the state of new ones; each library's own comes back with it."""
        logging = self.peek("logging")
        owners: dict[Any, _Record] = {}
        for record in self._records.values():
            for logger, _, _ in record.loggers:
                owners.setdefault(logger, record)
        for record in self._records.values():
            record.loggers = [one for one in record.loggers if one[1] == "setLevel" or one[2] in one[0].handlers]
        for logger, owner in owners.items():
            added = [value for record in self._records.values() for one, _, value in record.loggers if one is logger]
            owner.loggers += [(logger, "addHandler", value) for value in logger.handlers if value not in added]
            owner.loggers += [] if logger.propagate else [(logger, "propagate", False)]
            logger.level, logger.handlers, logger.propagate = logging.NOTSET, [], True
        if logging is not None:
            logging.root.manager._clear_cache()

    def peek(self, name: str) -> Any:
        """Return a module, hidden or not, without showing it; None when it is not loaded."""
        return self.hidden.get(name) or sys.modules.get(name)

    # Showing

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """Find a module for an import statement: a hidden one, unless another file now has its name."""
        if sys._getframe(2).f_code.co_name != "_find_and_load_unlocked":  # somebody only looks
            return None
        if name in self.hidden:
            self._forget_shadowed()
            found = self._find(name, path, target)
            if name in self.hidden and self._is_same(name, found):
                if self._stack:
                    self._need(name)
                return ModuleSpec(name, _Showing(self), origin=getattr(found, "origin", None))
            self._forget(name)
            return found
        if self._undo is None:
            return None
        found = self._find(name, path, target)
        if found is not None and hasattr(found.loader, "exec_module"):
            found.loader = _Recording(self, found.loader)
        if found is not None and self._stack:
            self._need(name)
        return found

    def _find(self, name: str, path: Any, target: Any = None) -> ModuleSpec | None:
        for finder in list(sys.meta_path):
            if finder is not self and (found := finder.find_spec(name, path, target)) is not None:
                return found
        return None

    def _is_same(self, name: str, found: ModuleSpec | None) -> bool:
        spec = getattr(self.hidden[name], "__spec__", None)
        return found is not None and spec is not None and found.origin == spec.origin

    def shadowed(self, folders: Sequence[str]) -> list[str]:
        """Return the hidden libraries whose names a file or package in one of the folders takes."""
        found = []
        for folder in folders:
            try:
                entries = os.listdir(folder or ".")
            except OSError:
                continue
            names = {entry.partition(".")[0] for entry in entries if not entry.startswith(".")}
            for name in names & self.hidden.keys():
                path = os.path.join(folder or ".", name)
                package = os.path.isfile(os.path.join(path, "__init__.py"))
                file = os.path.join(path, "__init__.py") if package else f"{path}.py"
                real = getattr(self.hidden[name], "__file__", None) or ""
                if os.path.isfile(file) and not (os.path.exists(real) and os.path.samefile(file, real)):
                    found.append(name)
        return found

    def _forget_shadowed(self) -> None:
        for name in self.shadowed([entry for entry in sys.path if entry not in self._path]):
            if not self._is_same(name, self._find(name, None)):
                self._forget(name)

    def _forget(self, name: str) -> None:
        """Let a library, and everything that needs it, be imported from its file."""
        lost = {name}
        while lost:
            for one in lost:
                self.hidden.pop(one, None)
            lost = {
                other
                for other in self.hidden
                if other.rpartition(".")[0] in lost or not lost.isdisjoint(self._records.get(other, _Record()).needs)
            }

    def show(self, name: str) -> None:
        """Put a hidden module back as an import of it would: with its package, what it needs, and its effects."""
        module = self.hidden.pop(name, None)
        if module is None:
            return
        package, _, child = name.rpartition(".")
        self.show(package)
        sys.modules[name] = module
        record = self._records.get(name, _Record())
        for need in record.needs:
            if need in self.hidden:
                self.show(need)
        if name in self._bound and package in sys.modules:
            vars(sys.modules[package])[child] = module
        for variable, value in record.environment.items():
            os.environ.setdefault(variable, value)
        for at_the_end, entry in record.filters:
            warnings.filters.insert(len(warnings.filters) if at_the_end else 0, entry)  # type: ignore[attr-defined]
        if record.filters:
            _set_filters(list(warnings.filters))
        sys.meta_path += [finder for finder in record.finders if finder not in sys.meta_path]
        for function, arguments, named in record.exits if self._undo is None else ():
            atexit.register(function, *arguments, **named)
        for key, kept in self._held.get(name, {}).items():
            vars(module)[key] = os.getcwd() if kept == "folder" else getattr(sys, kept)
        if name == "importlib_metadata" and "find_distributions" in vars(PathFinder):  # it does so when it is imported
            del PathFinder.find_distributions
        for logger, method, value in record.loggers:
            if method == "propagate":
                logger.propagate = value
                continue
            if getattr(value, "stream", None) is self._errors:
                value.setStream(sys.stderr)
            getattr(logger, method)(value)


def _set_filters(filters: list) -> None:
    """Set the warning filters; what Python has noted of the old ones is forgotten."""
    warnings.filters[:] = filters  # type: ignore[index]
    for name in ("_filters_mutated", "_filters_mutated_lock_held"):  # Python 3.11 and 3.14
        if hasattr(warnings, name):
            getattr(warnings, name)()
            return


#: The libraries that this process has imported for its forks.
LIBRARIES = Libraries()
