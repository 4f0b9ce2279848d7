"""The command line watched: `python probe.py REPORT COMMAND...` writes what the process used."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

from semedge.cli import main

report = Path(sys.argv.pop(1))
try:
    main()
finally:
    # Not the `ru_maxrss` of the process, which starts at that of the process that started it.
    (peak_kib,) = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    packages = sorted({name.partition(".")[0] for name in sys.modules})
    report.write_text(json.dumps({"peak_bytes": int(peak_kib) * 1024, "packages": packages}))
