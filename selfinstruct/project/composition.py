"""What Hydra composes from files, kept for the next recipe composed from the same files in this process.

Hydra takes a third of a second to list and merge the thirty files of a recipe. A sweep, a notebook and our
tests compose again and again, and mostly change single keys, which Hydra sets last. So the list and the
merged config are kept; their key is the texts of all files that Hydra may read and the choices among them.
Hydra sets single keys each time.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache, wraps
from hashlib import blake2b
from pathlib import Path
from typing import Any

MOST = 64  # compositions kept, of about 100 KB each
FAULT_KEY = "_fault_"  # replaces a recipe that cannot be used; its message names the file
_KEPT: dict[bytes, tuple[Any, bytes]] = {}  # the list of the files, and the merged config


class _Unknown(Exception):
    """It cannot be known which files Hydra may read."""


class _Files(list[Any]):
    """The files of a composition that is not kept yet, with the key to keep it under."""

    key: bytes
    listed: Any


class _Together:
    """Makes Hydra merge all files at once: one by one, it goes through the whole config for each.

    It replaces Hydra's loader where that loads a file.
    """

    def __init__(self, loader: Any, defaults: Sequence[Any], repo: Any) -> None:
        self._loader, self._defaults, self._repo = loader, defaults, repo

    def _load_single_config(self, default: None, repo: Any) -> Any:
        from omegaconf import OmegaConf, flag_override

        files = [self._loader._load_single_config(default=one, repo=repo) for one in self._defaults]
        whole = OmegaConf.create()
        with flag_override(whole, "no_deepcopy_set_nodes", True):
            whole.merge_with(*(file.config for file in files))
        return replace(files[0], config=whole)


@cache
def install(conf: Path) -> None:
    """Begin to keep what Hydra composes with our primary config, but not what other applications compose.

    Args:
        conf: the folder of the primary config.
    """
    from hydra._internal import config_loader_impl as hydras
    from hydra._internal.defaults_list import DefaultsList, Overrides
    from omegaconf.errors import OmegaConfBaseException

    module: Any = hydras
    loader: Any = hydras.ConfigLoaderImpl
    list_files, merge_files = module.create_defaults_list, loader._compose_config_from_defaults_list

    @wraps(list_files)
    def listed(repo: Any, config_name: str, overrides_list: list[Any], **options: bool) -> Any:
        split = Overrides(repo=repo, overrides_list=overrides_list)
        choices = [one.input_line for one in overrides_list if one not in split.config_overrides]
        ours = any(source.path == str(conf) for source in repo.get_sources())
        key = _key(repo, repr((config_name, choices, sorted(options.items())))) if ours else b""
        if key in _KEPT:
            found = _KEPT[key][0]
            return DefaultsList(found.defaults, found.defaults_tree, split.config_overrides, found.overrides)
        new = list_files(repo=repo, config_name=config_name, overrides_list=overrides_list, **options)
        if key:
            new.defaults = _Files(new.defaults)
            new.defaults.key, new.defaults.listed = key, new
        return new

    @wraps(merge_files)
    def merged(self: Any, defaults: Any, repo: Any) -> Any:
        kept = _KEPT.get(getattr(defaults, "key", b""))
        if kept:
            return pickle.loads(kept[1])
        try:
            config = merge_files(_Together(self, defaults, repo), [None], repo)
        except OmegaConfBaseException:  # Hydra says in which file
            config = merge_files(self, defaults, repo)
        if isinstance(defaults, _Files) and FAULT_KEY not in config:
            while len(_KEPT) >= MOST:
                del _KEPT[next(iter(_KEPT))]
            _KEPT[defaults.key] = defaults.listed, pickle.dumps(config)
        return config

    module.create_defaults_list, loader._compose_config_from_defaults_list = listed, merged


def _key(repo: Any, choices: str) -> bytes:
    """The key of a composition; empty if it cannot be known."""
    from hydra.core.config_store import ConfigStore

    digest = blake2b(choices.encode("utf-8", "backslashreplace"))
    try:
        for source in repo.get_sources():
            digest.update(repr((source.scheme(), source.provider)).encode())
            for name, text in _tree(source.path) if source.scheme() == "file" else ():
                digest.update(repr((name, text)).encode("utf-8", "backslashreplace"))
        for name, path in ConfigStore.instance().repo["recipe"].items():
            digest.update(repr((name, path.read_bytes())).encode())
    except (OSError, _Unknown):
        return b""
    return digest.digest()


def _tree(folder: str, above: str = "") -> Iterator[tuple[str, bytes]]:
    """All YAML files below a folder, and the folders themselves, which Hydra reads as groups.

    Raises:
        _Unknown: at a link to a folder, which may lead back.
    """
    for entry in sorted(os.scandir(folder), key=lambda one: one.name):
        name = f"{above}/{entry.name}"
        if entry.is_dir():
            if entry.is_symlink():
                raise _Unknown
            yield name, b""
            yield from _tree(entry.path, name)
        elif name.endswith(".yaml"):
            yield name, Path(entry.path).read_bytes()
