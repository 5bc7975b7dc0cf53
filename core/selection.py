"""Which jobs a bulk verb is for: from what callers give, ids that a storage acts on."""

from __future__ import annotations

from collections.abc import Iterable

from core.errors import UsageError
from core.loading import LOADING
from core.model import Attempt, Job, JobRef, View
from core.rules.arguments import MAX_WHOLE, check_kind

TYPE_CHECKING = False
if TYPE_CHECKING:
    from core.storage.contract import Storage
    from core.storage.values import Selection

#: What callers give a bulk verb to act on: one job, those listed, or all of a view.
Selectable = JobRef | Iterable[JobRef] | View

# A selection of more ids than this comes from a list the caller was given; ids that are gone are skipped.
_TRUSTED = 1000


def selected(storage: Storage, jobs: Selectable) -> Selection:
    """Return the ids of the jobs that are meant; raise ``UsageError`` or ``JobNotFound``."""
    with LOADING:
        from core.storage.values import Selection  # beside what only workers need

    if isinstance(jobs, View):
        return Selection(storage.lists.ids(jobs))
    if isinstance(jobs, (Job, Attempt)):  # tuples too, whose fields would be taken for ids
        raise UsageError("give ids or names of jobs, as job.id, not the jobs themselves")
    check_kind(jobs, "jobs", (int, str, Iterable), "numbers or names of jobs, or a View")
    references = [jobs] if isinstance(jobs, (int, str)) else list(dict.fromkeys(jobs))
    if len(references) > _TRUSTED and all(isinstance(reference, int) for reference in references):
        return Selection([ref if 0 < ref <= MAX_WHOLE else 0 for ref in references if isinstance(ref, int)])
    ids = storage.jobs.find(references)
    return Selection(list(dict.fromkeys(ids)), is_single=len(references) == 1)
