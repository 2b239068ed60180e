"""What a machine of the cluster says about itself.

`facts` is sent there as code, since the machine may have another version of this package, or none. So it
imports nothing of this package.
"""

from __future__ import annotations

PACKAGES = ("selfinstruct", "litellm")  # those whose versions decide what a request looks like


def facts(packages: tuple[str, ...], variables: tuple[str, ...]) -> tuple[dict[str, str], list[str]]:
    """The versions of Python and of packages, empty for none; and which variables are not set, never a value.

    Args:
        packages: the packages.
        variables: the variables of the environment.
    """
    import os
    import platform
    from importlib.metadata import PackageNotFoundError, version

    found = {"Python": platform.python_version()}
    for name in packages:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = ""
    return found, [name for name in variables if not os.environ.get(name)]
