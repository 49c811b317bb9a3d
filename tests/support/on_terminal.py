#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""on_terminal.py COMMAND...: run it on a terminal, and press ^C as soon as it
says how far it is ("7 %"). Prints what came, a line "pressed" if it came to
that, and ends with the command's exit code."""
import os
import pty
import re
import select
import sys
import time

child, terminal = pty.fork()
if not child:
    os.execvp(sys.argv[1], sys.argv[1:])
seen, pressed, until = b"", False, time.monotonic() + 120
while time.monotonic() < until:
    if select.select([terminal], [], [], 1)[0]:
        try:
            came = os.read(terminal, 65536)
        except OSError:  # nobody has the other end any more
            break
        if not came:
            break
        seen = (seen + came)[-65536:]
    if not pressed and re.search(rb"\d+ %", seen):
        os.write(terminal, b"\x03")
        pressed = True
_, status = os.waitpid(child, 0)
print(seen.decode("utf-8", "replace"))
if pressed:
    print("pressed")
sys.exit(os.waitstatus_to_exitcode(status))
