"""YAML files as configs, quickly: parsed in C, and every text once in a process; every section written once.

A recipe is composed of some twenty files. Hydra parses each of them anew every time, in Python, which takes
more than half of the time of composing. Here a file is read every time and its text is parsed once, so a file
that has changed is never taken for what it was. Writing is in Python, since C writes some texts otherwise.
"""

from __future__ import annotations

import pickle
from functools import cache, lru_cache
from importlib import import_module
from io import StringIO
from pathlib import Path
from typing import Any

MOST_SECTIONS = 1024
_SECTIONS: dict[str, str] = {}  # by what is in them, their YAML


def load(path: Path) -> Any:
    """The config in a YAML file, as `OmegaConf.load` reads it; the caller's own, to change.

    Raises:
        yaml.YAMLError: where it is not YAML.
        OSError: where it cannot be read, or holds neither a mapping nor a list.
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
    """Have Hydra read the files of its search path with `load`, here and in processes that run jobs."""
    from hydra._internal.core_plugins import file_config_source as hydras
    from hydra._internal.sources_registry import SourcesRegistry
    from hydra.plugins.config_source import ConfigResult, ConfigSource

    class FileConfigSource(hydras.FileConfigSource):
        """Has the name of Hydra's own, which is then not registered beside it."""

        def load_config(self, config_path: str) -> ConfigResult:
            path = Path(self.path, self._normalize_file_name(config_path))
            if not path.is_file():
                return super().load_config(config_path)  # which says that there is none
            text = path.read_text(encoding="utf-8")
            header = ConfigSource._get_header_dict(text[:512])
            return ConfigResult(self.provider, self.full_path(), _parsed(path, text), header)

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
    return pickle.loads(_pickled(str(path), text))  # in a tenth of the time of a deep copy


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
    """OmegaConf's loader (what is a number, and no key twice) on the parser in C, where PyYAML has it."""
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
