"""Ctrl-C in a process of its own: what passes from the signal until a call is left.

The signal comes after so much processor time of that process, and what passes is its processor time too: neither
depends on what else the machine does. Seconds by the clock are for ``benchmarks/bench_interrupts.py`` only.
"""

import json
import signal
import subprocess
import sys
import textwrap
import time
from typing import NamedTuple

import psutil

LIMIT = 1.0  # second of processor time for each thread
CHILD = """
import atexit, json, signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)
{setup}
for name, (_, call) in {calls!r}.items():
    code = compile(call, name, "eval")  # interrupted in the text itself, eval would tell the interpreter to fail
    print(time.process_time(), flush=True)
    try:
        eval(code)
    except KeyboardInterrupt:
        print(json.dumps([time.process_time(), time.monotonic()]), flush=True)
    else:
        sys.exit(name + ": finished before it was interrupted")
print(json.dumps({end}))
# after all threads that Python waits for
atexit.register(lambda since: print(time.process_time() - since, flush=True), time.process_time())
"""


class Left(NamedTuple):
    """Seconds from the signal until the call was left."""

    processor: float  # of all threads
    clock: float


def interrupt(calls, cwd, setup, end="None"):
    """Each call's Left, the value of ``end`` after them, and the processor time until the process ended.

    Parameters
    ----------
    calls : dict of name: (seconds, text)
        The Python text of a call, and after how much processor time of it the signal comes.
    cwd : path
        Not the checkout: for ``-c`` Python looks there first, and in a checkout skmerge may not be built.
    setup : str
        Python text that runs before the calls.
    end : str
        Python text of a value that JSON can hold.
    """
    script = CHILD.format(setup=textwrap.dedent(setup), calls=calls, end=end)
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, cwd=cwd)
    used, left = psutil.Process(process.pid), {}
    try:
        for name, (seconds, _) in calls.items():
            begin = float(_line(process, name))
            while sum((now := used.cpu_times())[:2]) < begin + seconds:
                assert process.poll() is None, f"{name}: ended before it was interrupted"
                time.sleep(0.005)
            sent = time.monotonic()
            process.send_signal(signal.SIGINT)
            processor, clock = json.loads(_line(process, name))
            left[name] = Left(processor - sum(now[:2]), clock - sent)
        return left, json.loads(_line(process, "end")), float(_line(process, "exit"))
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def _line(process, name):
    line = process.stdout.readline()
    assert line, f"{name}: the process ended, see its message"
    return line


def check(left, rest, n_threads):
    """Each call was left, and the process ended, within a second of processor time of each thread."""
    print(*(f"{name}: left after {seconds.processor:.2f} s" for name, seconds in left.items()), sep="\n")
    print(f"ended after {rest:.2f} s")
    late = {name: seconds for name, seconds in left.items() if seconds.processor > n_threads * LIMIT}
    assert not late and rest < n_threads * LIMIT
