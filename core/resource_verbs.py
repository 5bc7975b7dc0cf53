"""The verbs of ``Queue`` on resources: what jobs need while they run."""

from __future__ import annotations

from core.rules.arguments import check_kind
from core.rules.lanes import resource_infos
from core.rules.needs import check_resource, check_units

TYPE_CHECKING = False
if TYPE_CHECKING:
    from core.model import ResourceInfo
    from core.storage.contract import Storage


class ResourceVerbs:
    """What a queue is asked about resources, and what it is asked to set; a part of ``core.queue.Queue``."""

    storage: Storage

    def resources(self) -> list[ResourceInfo]:
        """Return the resources that were set, that running jobs have or that due jobs need, by name."""
        return resource_infos(self.storage.resources.demand())

    def set_resource(self, name: str, capacity: int, *, is_per_host: bool = False) -> None:
        """Say how much there is of a resource: over all workers, or on each host. 0 closes it; running jobs go on."""
        check_units(capacity, f"the capacity of {check_resource(name)}", low=0)
        check_kind(is_per_host, "is_per_host", bool, "True or False")
        self.storage.resources.set(name, capacity, is_per_host=is_per_host)

    def unset_resource(self, name: str) -> None:
        """Forget how much there is of a resource: it is a lock then, of which there is one."""
        self.storage.resources.unset(check_resource(name))
