"""The rows of picketd and the command: size, start, memory, CPU, a hung docker, fingerprints."""
import json
import os
import signal
import socket
import statistics
import subprocess
import tempfile
import time

from common import NOMAD, QUICK, figures, idle_percent, memory_kb, row
import wire
from programs import BIN, Agent, Server, http_get

seen = set()
real = {}


def agent_rows():
    srv = Server().start().wait()
    size = stripped_size('picketd')
    row('picketd binary, stripped', '1 MB', f'{size / 1e6:.2f} MB', real_size())
    figures['picketd_stripped_bytes'] = size
    start_row(srv)
    docker_row(srv)
    idle_rows(srv)
    fingerprint_row()
    srv.stop()
    srv.cleanup()


def start_row(srv):
    registered, ready = [], []
    for _ in range(3 if QUICK else 9):
        a = Agent([srv])
        t = time.monotonic()
        a.start()
        node_id = None
        while True:
            nodes = json.loads(http_get(srv.http, '/v1/nodes')[2])
            mine = [n for n in nodes if node_id is None and n['Status'] in ('initializing', 'ready') and
                    n['ID'] not in seen or n['ID'] == node_id]
            if mine and node_id is None:
                node_id = mine[0]['ID']
                registered.append(time.monotonic() - t)
            if mine and mine[0]['Status'] == 'ready':
                ready.append(time.monotonic() - t)
                break
            time.sleep(0.001)
        seen.add(node_id)
        a.stop()
        a.cleanup()
    figures['exec_to_registered_s'], figures['exec_to_ready_s'] = registered, ready
    row('exec to registered / to ready at a running server, warm', '60 ms / 100 ms',
        f'{statistics.median(registered) * 1e3:.0f} ms / {statistics.median(ready) * 1e3:.0f} ms', real_client_start())


def idle_rows(srv):
    a = Agent([srv]).start().wait_api()
    wire.wait_until('ready', lambda: any(n['ID'] == a.node_id() and n['Status'] == 'ready' for n in srv.nodes()))
    time.sleep(5 if QUICK else 20)
    rss, private = memory_kb(a.proc.pid)
    figures['picketd_rss_kb'], figures['picketd_private_kb'] = rss, private
    percent = idle_percent(a.proc.pid, 5 if QUICK else 60)
    figures['picketd_idle_cpu_percent'] = percent
    idle = real_client_idle()
    row('picketd idle, resident / private', '8 MB / 1.5 MB', f'{rss / 1024:.1f} MB / {private / 1024:.2f} MB', idle[0])
    row('picketd CPU, idle', '0.05 % of a core', f'{percent:.3f} %', idle[1])
    used = memory_after_requests(a)
    row('the same after requests to its API, and a reload', '8 MB / 1.5 MB', used)
    a.stop()
    a.cleanup()


def memory_after_requests(a):
    """does it give back what answers took?"""
    for _ in range(100 if QUICK else 1000):
        for target in ('/v1/agent/self', '/v1/nodes', '/v1/node/' + a.node_id(), '/v1/agent/fingerprint'):
            http_get(a.http, target)
    a.proc.send_signal(signal.SIGHUP)
    time.sleep(2 if QUICK else 10)
    rss, private = memory_kb(a.proc.pid)
    figures['picketd_used_rss_kb'], figures['picketd_used_private_kb'] = rss, private
    return f'{rss / 1024:.1f} MB / {private / 1024:.2f} MB'


def docker_row(srv):
    """a docker socket that accepts and never answers"""
    folder = tempfile.mkdtemp()
    path = os.path.join(folder, 'docker.sock')
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(path)
    sock.listen(16)
    a = Agent([srv], extra=f'plugin "docker" {{ config {{ endpoint = "unix://{path}" }} }}')
    t = time.monotonic()
    a.start().wait_api()
    node_id = a.node_id()
    wire.wait_until('ready', lambda: any(n['ID'] == node_id and n['Status'] == 'ready' for n in srv.nodes()), 60, 0.002)
    ready = time.monotonic() - t
    wire.wait_until('reason', lambda: 'hung' in (text := http_get(a.http, '/v1/agent/fingerprint')[2]) or
                    'answer' in text and path in text, 60, 0.02)
    reason = time.monotonic() - t
    wire.wait_until('reason at the server', lambda: srv.node(node_id)['Drivers'].get('docker'), 60, 0.05)
    at_server = time.monotonic() - t
    figures['hung_docker'] = {'ready_s': ready, 'reason_s': reason, 'reason_at_server_s': at_server}
    row('hung docker socket: ready; its reason visible (local API; server)', '100 ms; 8 s',
        f'{ready * 1e3:.0f} ms; {reason:.1f} s; {at_server:.1f} s', '50 s (on record, not run here)')
    a.stop()
    a.cleanup()
    sock.close()


def fingerprint_row():
    times = []
    for _ in range(3 if QUICK else 9):
        t = time.monotonic()
        subprocess.run([os.path.join(BIN, 'picket'), 'fingerprint'], stdout=subprocess.DEVNULL, check=True)
        times.append(time.monotonic() - t)
    figures['fingerprint_s'] = times
    row('picket fingerprint', '150 ms', f'{statistics.median(times) * 1e3:.0f} ms', '8 s when metadata hangs (not run here)')


def stripped_size(name):
    with tempfile.NamedTemporaryFile() as f:
        subprocess.run(['strip', '-o', f.name, os.path.join(BIN, name)], check=True)
        return os.path.getsize(f.name)


# --- a real Nomad beside it ---

def real_size():
    return f'{os.path.getsize(NOMAD) / 1e6:.0f} MB (as built)' if NOMAD else '-'


def real_client_start():
    if not NOMAD:
        return '-'
    from nomad import RealClient, RealServer
    server = RealServer()
    server.start().wait()
    client = RealClient(server)
    t = time.monotonic()
    client.start()
    registered = None
    while True:
        nodes = server.nodes()
        if nodes and registered is None:
            registered = time.monotonic() - t
        if nodes and nodes[0]['Status'] == 'ready':
            break
        time.sleep(0.002)
    ready = time.monotonic() - t
    real['pair'] = server, client
    figures['real_exec_to_registered_s'], figures['real_exec_to_ready_s'] = registered, ready
    return f'{registered * 1e3:.0f} ms / {ready:.1f} s'


def real_client_idle():
    if not NOMAD:
        return '-', '-'
    server, client = real.pop('pair')
    time.sleep(5 if QUICK else 20)
    rss, private = memory_kb(client.proc.pid)
    percent = idle_percent(client.proc.pid, 5 if QUICK else 60)
    figures['real_client_rss_kb'], figures['real_client_private_kb'] = rss, private
    figures['real_client_idle_cpu_percent'] = percent
    for p in (client, server):
        p.stop()
        p.cleanup()
    return f'{rss / 1024:.0f} MB / {private / 1024:.0f} MB', f'{percent:.2f} %'
