"""Regular expressions that a user wrote."""

from __future__ import annotations

import re
import threading
import warnings
from typing import AnyStr

# Held while a regex is compiled: what Python warns of is set for the whole process.
_compiling = threading.Lock()


def read_regex(regex: AnyStr, flags: re.RegexFlag) -> re.Pattern[AnyStr]:
    """Return a user's regex, compiled; raise ``ValueError`` with the reason for one that cannot be read.

    One that Python warns of is read as it stands: in ``[[a]`` the second bracket is a character of the set.
    """
    try:
        with _compiling, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return re.compile(regex, flags)
    except (re.error, ValueError, OverflowError, RecursionError) as error:
        raise ValueError(str(error)) from None
