"""What all rows of the bench share: where things are, the table, CPU and memory of a process."""
import os
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [os.path.join(ROOT, 'tests', 'integration'), os.path.join(ROOT, 'tests', 'compat')]
os.environ.setdefault('PICKET_BIN', os.path.join(ROOT, 'build', 'bin'))
BENCH_BIN = os.environ.get('BENCH_BIN', os.path.join(ROOT, 'build', 'bench'))
NOMAD = os.environ.get('NOMAD')
QUICK = bool(os.environ.get('BENCH_QUICK'))

rows = []       # (what, budget, ours, theirs)
figures = {}


def cpu_ns(pid):
    total = 0
    for task in os.listdir(f'/proc/{pid}/task'):
        try:
            with open(f'/proc/{pid}/task/{task}/schedstat', encoding='ascii') as f:
                total += int(f.read().split()[0])
        except FileNotFoundError:
            pass
    return total


def memory_kb(pid):
    """(resident, private)"""
    out = {}
    with open(f'/proc/{pid}/smaps_rollup', encoding='ascii') as f:
        for line in f:
            key, _, rest = line.partition(':')
            if rest.strip().endswith('kB'):
                out[key] = int(rest.split()[0])
    return out['Rss'], out['Private_Clean'] + out['Private_Dirty']


def anonymous_kb(pid):
    with open(f'/proc/{pid}/status', encoding='ascii') as f:
        return next(int(line.split()[1]) for line in f if line.startswith('RssAnon'))


def measured(pid, work):
    """microseconds of CPU of the process per unit of work(), which returns their number"""
    time.sleep(0.3)
    before = cpu_ns(pid)
    units = work()
    return (cpu_ns(pid) - before) / 1e3 / units


def idle_percent(pid, seconds):
    before, t = cpu_ns(pid), time.monotonic()
    time.sleep(seconds)
    return (cpu_ns(pid) - before) / 1e9 / (time.monotonic() - t) * 100


def row(what, budget, ours, theirs='-'):
    rows.append((what, budget, ours, theirs))
    print(f'  {what:<66} {ours:<28} {theirs}', flush=True)


def ratio(ours, theirs, unit):
    return f'{theirs:.0f} {unit} (ours 1/{theirs / ours:.1f})' if theirs and ours else '-'
