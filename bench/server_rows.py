"""The rows of the server, at each number of nodes, and of a real server beside it."""
import http.client
import json
import os
import resource
import socket
import subprocess
import tempfile
import time

from common import BENCH_BIN, NOMAD, QUICK, anonymous_kb, figures, measured, memory_kb, ratio, row
import wire
from programs import Agent, Server, get_json, http_get

SIZES = [int(n) for n in (os.environ.get('BENCH_NODES') or ('300,1000' if QUICK else '1000,10000,100000')).split(',')]
# no deadline passes while a row is measured
PACE = 'min_heartbeat_ttl = "30m"'
READERS = 500 if QUICK else 10000
CONNECTIONS = 200 if QUICK else 15000

# what the growth is drawn of (plot.py): (key, title, unit)
GROWTH = [
    ('register_us', 'CPU per registration', 'us'),
    ('beat_us', 'CPU per heartbeat', 'us'),
    ('get_us', 'CPU per GET /v1/node/:id', 'us'),
    ('list_us', 'CPU per GET /v1/nodes', 'us'),
    ('list_gzip_us', 'CPU per GET /v1/nodes, gzip', 'us'),
    ('memory_per_node_kb', 'private memory per node', 'KB'),
]


def template():
    """one packed node as an agent of this host registers it"""
    srv = Server().start().wait()
    a = Agent([srv]).start().wait_api()
    node_id = a.node_id()
    wire.wait_until('ready', lambda: srv.node(node_id)['Status'] == 'ready' and srv.node(node_id)['Drivers'].get('docker'))
    with wire.Rpc(srv.rpc) as r:
        node = r.call('Node.GetNode', {'NodeID': node_id, 'Region': 'global'})['Node']
    a.stop(), srv.stop()
    a.cleanup(), srv.cleanup()
    for key in ('Events', 'DrainStrategy', 'LastDrain'):
        node[key] = None
    node['Status'] = 'initializing'
    with tempfile.NamedTemporaryFile(delete=False, suffix='.node') as f:
        f.write(wire.pack(node))
    figures['template_bytes'] = os.path.getsize(f.name)
    return f.name


def load_command(port, node, what, first, count, sessions=8, in_flight=8):
    return [os.path.join(BENCH_BIN, 'bench_load'), f'127.0.0.1:{port}', node, what, str(first), str(count), str(sessions),
            str(in_flight)]


def load(*args, **kwargs):
    out = subprocess.run(load_command(*args, **kwargs), capture_output=True, text=True, check=False)
    if out.returncode:
        raise SystemExit(f'bench_load: {out.stdout}{out.stderr}')
    return json.loads(out.stdout)


def gets(port, targets, gzip=False):
    c = http.client.HTTPConnection('127.0.0.1', port, timeout=120)
    for target in targets:
        c.request('GET', target, headers={'Accept-Encoding': 'gzip'} if gzip else {})
        c.getresponse().read()
    c.close()
    return len(targets)


def list_after_writes(prog, node, n):
    """n lists, each behind the registration of another node"""
    for i in range(n):
        load(prog.rpc, node, 'register', i * 37, 1, 1, 1)
        gets(prog.http, ['/v1/nodes'], True)
    return n


def make_server(real):
    if not real:
        return Server(server=PACE).start().wait()
    from nomad import RealServer
    s = RealServer()
    with open(s.config_path, encoding='utf-8') as f:
        text = f.read()
    s.write_config(text.replace('server {\n', f'server {{\n  {PACE}\n', 1))
    s.start().wait()
    return s


def discard(prog):
    prog.stop(seconds=120)
    prog.cleanup()


def size_figures(real, node, n):
    """everything that is measured with n nodes"""
    prog, f = make_server(real), {}
    pid = prog.proc.pid
    base = anonymous_kb(pid)
    f['fill'] = load(prog.rpc, node, 'register', 0, n)
    some = min(n, 2000)     # the first beat of all 100,000 would take the real one an hour
    load(prog.rpc, node, 'beat', 0, some)
    f['memory_per_node_kb'] = (anonymous_kb(pid) - base) / n
    f['register_us'] = measured(pid, lambda: load(prog.rpc, node, 'register', 0, some)['calls'])
    f['beat_us'] = measured(pid, lambda: sum(load(prog.rpc, node, 'beat', 0, some)['calls'] for _ in range(2 if real else 5)))
    lists = 5 if QUICK else max(3, min(20, 200000 // n))
    f['list_bytes'] = len(http_get(prog.http, '/v1/nodes', timeout=120)[2])
    gets(prog.http, ['/v1/nodes'], True)
    f['list_us'] = measured(pid, lambda: gets(prog.http, ['/v1/nodes'] * lists))
    f['list_gzip_us'] = measured(pid, lambda: gets(prog.http, ['/v1/nodes'] * lists, True))
    f['list_changed_us'] = measured(pid, lambda: list_after_writes(prog, node, lists)) - f['register_us']
    # every node once: no reader finds what another one made
    ids = [x['ID'] for x in json.loads(http_get(prog.http, '/v1/nodes', timeout=120)[2])]
    f['get_us'] = measured(pid, lambda: gets(prog.http, ['/v1/node/' + i for i in ids[:500 if QUICK else 5000]]))
    f['listed_memory_per_node_kb'] = (anonymous_kb(pid) - base) / n
    prog.stop(seconds=120)
    t = time.monotonic()
    prog.start()
    wire.wait_until('nodes are back', lambda: get_json(prog.http, '/v1/node/' + ids[-1], timeout=60), 300, 0.01)
    f['start_s'] = time.monotonic() - t
    f['resident_after_start_mb'] = memory_kb(prog.proc.pid)[0] / 1024
    discard(prog)
    return f


def reads_during_registration(real, node, n):
    """how long a reader waits while n nodes register: one node, and the head of the list"""
    prog, f = make_server(real), {}
    load(prog.rpc, node, 'register', 0, 1, 1, 1)
    one = get_json(prog.http, '/v1/nodes')[0]['ID']
    for name, target in (('node', '/v1/node/' + one), ('list', '/v1/nodes')):
        with subprocess.Popen([os.path.join(BENCH_BIN, 'bench_read'), str(prog.http), target], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, text=True) as reader:
            filled = load(prog.rpc, node, 'register', 0, n)
            reader.stdin.close()
            f[name] = json.loads(reader.stdout.readline())
        f[name]['registrations_per_s'] = filled['calls'] / filled['seconds']
    discard(prog)
    return f


# --- what many connections cost ---

def hold(srv, n, target):
    """(bench_hold with n readers that wait, memory of each in KB)"""
    before = anonymous_kb(srv.proc.pid)
    p = subprocess.Popen([os.path.join(BENCH_BIN, 'bench_hold'), str(srv.http), str(n), target], stdout=subprocess.PIPE, text=True)
    p.stdout.readline()
    time.sleep(1 if QUICK else 3)
    return p, (anonymous_kb(srv.proc.pid) - before) / n


def wake_rows(node):
    """blocked readers of one small list, woken by one change; in a fresh server, with nothing freed to put them into"""
    srv = make_server(False)
    load(srv.rpc, node, 'register', 0, 1, 1, 1)
    index = http_get(srv.http, '/v1/nodes?prefix=ffffffff')[1]['x-nomad-index']
    p, kb = hold(srv, READERS, f'/v1/nodes?prefix=ffffffff&index={index}')
    load(srv.rpc, node, 'register', 0, 1, 1, 1)
    out = json.loads(p.stdout.readline())
    p.wait()
    figures['wake'] = {**out, 'reader_kb': kb}
    row('one waiting reader over HTTP, its connection included', '1 KB + connection', f'{kb:.2f} KB ({READERS} readers)')
    row(f'{READERS} blocked readers woken by one change, last one', '200 ms', f'{out["last_ms"]:.0f} ms after the first')
    discard(srv)


def idle_row():
    srv = make_server(False)
    before = anonymous_kb(srv.proc.pid)
    socks = []
    for _ in range(CONNECTIONS):
        s = socket.create_connection(('127.0.0.1', srv.http))
        s.sendall(b'GET /v1/regions HTTP/1.1\r\nHost: x\r\n\r\n')
        s.recv(4096)
        socks.append(s)
    time.sleep(1)
    kb = (anonymous_kb(srv.proc.pid) - before) / CONNECTIONS
    for s in socks:
        s.close()
    figures['idle_connection_kb'] = kb
    row('per idle HTTP connection, plain', '3 KB', f'{kb:.2f} KB ({CONNECTIONS} connections)')
    discard(srv)


# --- the table ---

def size_rows(n, ours, theirs):
    def line(what, budget, key, unit='us'):
        row(what, budget, f'{ours[key]:.1f} {unit}', ratio(ours[key], theirs.get(key), unit))

    print(f'  --- {n} nodes')
    line(f'{n}: server CPU per registration', '1/5', 'register_us')
    line(f'{n}: per heartbeat', '1/20; no growth', 'beat_us')
    line(f'{n}: GET /v1/nodes ({ours["list_bytes"] / 1e6:.1f} MB), plain', '1/20', 'list_us')
    line(f'{n}: the same, gzip', '1/20', 'list_gzip_us')
    line(f'{n}: the same, gzip, one node registered between any two', '-', 'list_changed_us')
    line(f'{n}: GET /v1/node/:id, each node once', '1/8', 'get_us')
    line(f'{n}: private memory per node ({figures["template_bytes"]} bytes packed)', '4 KB', 'memory_per_node_kb', 'KB')
    line(f'{n}: the same while the list is read', '-', 'listed_memory_per_node_kb', 'KB')
    row(f'{n}: start with all of them stored', 'seconds', f'{ours["start_s"]:.2f} s',
        f'{theirs["start_s"]:.1f} s' if theirs else '-')
    row(f'{n}: resident after that', '1 GB at 100000', f'{ours["resident_after_start_mb"]:.0f} MB',
        f'{theirs["resident_after_start_mb"]:.0f} MB' if theirs else '-')


def p99_row(n, ours, theirs):
    for name, what in (('node', 'GET /v1/node/:id'), ('list', 'GET /v1/nodes')):
        def text(f):
            return f'{f[name]["p99_ms"]:.1f} ms ({f[name]["registrations_per_s"]:.0f}/s)' if f else '-'
        row(f'p99 of {what} while {n} nodes register (how fast)', '-', text(ours), text(theirs))


def server_rows():
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    node = template()
    both = figures['server'] = {'picket': {}, 'nomad': {}}
    for n in SIZES:
        both['picket'][n] = size_figures(False, node, n)
        if NOMAD:
            both['nomad'][n] = size_figures(True, node, n)
        size_rows(n, both['picket'][n], both['nomad'].get(n, {}))
    n = min(10000, max(SIZES))
    reads = figures['reads'] = {'picket': reads_during_registration(False, node, n)}
    if NOMAD:
        reads['nomad'] = reads_during_registration(True, node, n)
    p99_row(n, reads['picket'], reads.get('nomad'))
    idle_row()
    wake_rows(node)
    os.unlink(node)
