"""The former place of `selfinstruct.text.novelty`, which goes on working in this version."""

import warnings

from selfinstruct.text.novelty import *  # noqa: F403

_MOVED = "selfinstruct.novelty has moved to selfinstruct.text.novelty; import it from there"
warnings.warn(_MOVED, DeprecationWarning, stacklevel=2)
