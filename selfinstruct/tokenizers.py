"""The former place of `selfinstruct.text.tokenizers`, which goes on working in this version."""

import warnings

from selfinstruct.text.tokenizers import *  # noqa: F403

_MOVED = "selfinstruct.tokenizers has moved to selfinstruct.text.tokenizers; import it from there"
warnings.warn(_MOVED, DeprecationWarning, stacklevel=2)
