"""Memory of this process and of the CUDA devices that torch uses."""

from __future__ import annotations

import os
import resource
import sys
from pathlib import Path

Reading = tuple[str, int, int, int, int]  # device, used, reserved, peak, limit in bytes


def readings() -> list[Reading]:
    """Microseconds for the host; counters of torch's allocator for CUDA, which wait for no device."""
    found = [of_process("self", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)]
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available() and torch.cuda.is_initialized():
        for index in range(torch.cuda.device_count()):
            reserved = torch.cuda.memory_reserved(index)
            if reserved:
                limit = torch.cuda.get_device_properties(index).total_memory
                peak = torch.cuda.max_memory_allocated(index)
                found.append((f"cuda:{index}", torch.cuda.memory_allocated(index), reserved, peak, limit))
    return found


def of_process(pid: int | str, peak: int = 0) -> Reading:
    """Resident and virtual memory of a process. Raises OSError where there is none."""
    pages, resident = (int(word) for word in Path(f"/proc/{pid}/statm").read_text().split()[:2])
    page = os.sysconf("SC_PAGE_SIZE")
    return "host", resident * page, pages * page, peak, _limit()


def _limit() -> int:
    """What the control group allows, or 0."""
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            text = Path(path).read_text().strip()
            return int(text) if text.isdigit() and int(text) < 1 << 60 else 0
        except OSError:
            continue
    return 0
