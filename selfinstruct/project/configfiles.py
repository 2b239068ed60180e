"""Loads and writes YAML files as configs, fast: parsed in C, and each text and section once in a process.

A recipe is composed from some twenty files. Hydra parses each of them every time, in Python, which takes more
than half of the time of composing. Here a file is read every time, but the same text is parsed only once. So
a change to a file always counts. Writing stays in Python: the writer in C writes some texts in another way.
"""

from __future__ import annotations

import pickle
from functools import cache, lru_cache
from importlib import import_module
from io import StringIO
from pathlib import Path
from typing import Any

from selfinstruct.project.parts import PARTS, spread

MOST_SECTIONS = 1024
_SECTIONS: dict[str, str] = {}  # the YAML of a section, by its content


def load(path: Path) -> Any:
    """The config in a YAML file, as `OmegaConf.load` reads it; a copy that the caller may change.

    Raises:
        yaml.YAMLError: if it is not YAML.
        OSError: if it cannot be read, or is neither a mapping nor a list.
    """
    return _parsed(path, path.read_text(encoding="utf-8"))


def text_of(config: Any) -> str:
    """A config as `OmegaConf.to_yaml` writes it."""
    from omegaconf import OmegaConf

    keys = OmegaConf.to_container(config, resolve=False, enum_to_str=True)
    if not isinstance(keys, dict) or not keys:
        return OmegaConf.to_yaml(config)
    return "".join(_section_text({key: value}) for key, value in keys.items())


@cache
def use_in_hydra() -> None:
    """Make Hydra read the files of its search path with `load`, here and in processes that run jobs."""
    from hydra._internal.core_plugins import file_config_source as hydras
    from hydra._internal.sources_registry import SourcesRegistry
    from hydra.plugins.config_source import ConfigResult, ConfigSource

    class FileConfigSource(hydras.FileConfigSource):
        """Replaces Hydra's own class: it has the same name, so Hydra does not register both."""

        def load_config(self, config_path: str) -> ConfigResult:
            path = Path(self.path, self._normalize_file_name(config_path))
            if not path.is_file():
                return super().load_config(config_path)  # which reports that the file is missing
            text = path.read_text(encoding="utf-8")
            header, config = ConfigSource._get_header_dict(text[:512]), _parsed(path, text)
            if path.parent == Path(self.path, PARTS):  # which has the keys of a recipe
                header, config = {**header, "package": "_global_"}, spread(config)
            return ConfigResult(self.provider, self.full_path(), config, header)

    SourcesRegistry.instance().types[FileConfigSource.scheme()] = FileConfigSource


def _section_text(section: dict[Any, Any]) -> str:
    """One section in YAML. The jobs of a sweep have most of their sections in common."""
    import yaml
    from omegaconf._utils import get_omega_conf_dumper

    content = repr(section)
    if content not in _SECTIONS:
        if len(_SECTIONS) >= MOST_SECTIONS:
            _SECTIONS.clear()
        _SECTIONS[content] = yaml.dump(
            section,
            default_flow_style=False,
            allow_unicode=True,
            sort_keys=False,
            Dumper=get_omega_conf_dumper(),
        )
    return _SECTIONS[content]


def _parsed(path: Path, text: str) -> Any:
    return pickle.loads(_pickled(str(path), text))  # takes a tenth of the time of a deep copy


@lru_cache(maxsize=1024)
def _pickled(name: str, text: str) -> bytes:
    import yaml
    from omegaconf import OmegaConf

    stream = StringIO(text)
    stream.name = name  # for messages
    keys = yaml.load(stream, Loader=_loader())
    if not isinstance(keys, dict | list | str | None):
        raise OSError(f"a config is a mapping of keys; {name} holds {keys!r}")
    return pickle.dumps(OmegaConf.create({} if keys is None else keys))


@cache
def _loader() -> Any:
    """OmegaConf's loader (its numbers, no duplicate keys) on the parser in C, if PyYAML has that."""
    import yaml
    from omegaconf._utils import get_yaml_loader

    in_python = get_yaml_loader()
    if not hasattr(yaml, "CSafeLoader"):
        return in_python
    in_c = import_module("yaml.cyaml").CParser

    def begin(self: Any, stream: Any) -> None:
        in_c.__init__(self, stream)
        yaml.constructor.SafeConstructor.__init__(self)
        yaml.resolver.Resolver.__init__(self)

    return type("LoaderInC", (in_c, in_python), {"__init__": begin})
