"""`spawn.py PIDFILE COMMAND...`: runs it, then prints wall seconds, CPU seconds and peak bytes.

The command's standard output goes to standard error, which the caller has in a file.
"""

import os
import sys
import time

begin = time.monotonic()
pid = os.fork()
if pid == 0:
    os.dup2(2, 1)
    os.execvp(sys.argv[2], sys.argv[2:])
with open(sys.argv[1], "w") as file:
    file.write(str(pid))
_, status, usage = os.wait4(pid, 0)
wall = time.monotonic() - begin
print(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)
sys.exit(os.waitstatus_to_exitcode(status) & 0xFF)
