#!/usr/bin/python3
"""record.py NOMAD SECONDS FILE - what a real client says to picket-server and what it hears, as yamux frames.

Listens between the two, then takes out what tells of the machine: ids, names, addresses and all values of the node that
are not of its kind only become other text of the same length, so that the bytes around them stay as they were.
The format is that of tests/data/wire/rpc-connect.txt, "= n" begins the nth connection; tests/integration/test_replay.py
plays it.
"""
import os
import re
import select
import socket
import sys
import threading
import time

os.environ['NOMAD'] = sys.argv[1] if len(sys.argv) > 1 else ''
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, '..', 'integration')]

from nomad import RealClient, version                   # noqa: E402
from programs import Server, free_ports                 # noqa: E402
from wire import Short, unpack, wait_until              # noqa: E402

ID, SECRET = '11111111-2222-4333-8444-555555555555', '66666666-7777-4888-8999-000000000000'
# keys whose values are of the release, not of the machine
PLAIN = re.compile(r'^(driver\.(?!docker)|nomad\.|kernel\.name|kernel\.arch|cpu\.arch|os\.name|os\.signals|vault|consul|plugins)')


class Proxied(Server):
    def configure(self):
        super().configure()
        self.front, = free_ports(1)
        with open(self.config_path, encoding='utf-8') as f:
            text = f.read()
        self.write_config(text.replace('advertise { http = "127.0.0.1" rpc = "127.0.0.1" }',
                                       f'advertise {{ http = "127.0.0.1" rpc = "127.0.0.1:{self.front}" }}'))


class Tap(threading.Thread):
    """passes bytes on and keeps them, in their order"""

    def __init__(self, port, target):
        super().__init__(daemon=True)
        self.target, self.conns = target, []
        self.listener = socket.create_server(('127.0.0.1', port))

    def run(self):
        while True:
            a, _ = self.listener.accept()
            b = socket.create_connection(('127.0.0.1', self.target))
            kept = []
            self.conns.append(kept)
            threading.Thread(target=self.pump, args=(a, b, kept), daemon=True).start()

    @staticmethod
    def pump(a, b, kept):
        while True:
            for s in select.select([a, b], [], [])[0]:
                data = s.recv(1 << 16)
                if not data:
                    a.close()
                    b.close()
                    return
                kept.append((s is a, data))
                (b if s is a else a).sendall(data)


def frames(kept):
    """(from the client?, bytes) of whole frames, the type byte first"""
    left = {True: b'', False: b''}
    first = True
    for up, data in kept:
        left[up] += data
        if first and up:
            yield up, left[up][:1]
            left[up], first = left[up][1:], False
        while len(left[up]) >= 12:
            n = 12 + (int.from_bytes(left[up][8:12], 'big') if left[up][1] == 0 else 0)
            if len(left[up]) < n:
                break
            yield up, left[up][:n]
            left[up] = left[up][n:]


def same_length(text, n):
    """another text in its place: letters become x, digits 1 to 7; what stands between stays"""
    return ''.join('x' if c.isalpha() else '1234567'[n % 7] if c.isdigit() else c for c in text)


def texts(node):
    """the values of a node that tell of its machine"""
    out = {node['Name'], node['HTTPAddr']}
    for key, value in (node['Attributes'] or {}).items():
        if not PLAIN.match(key):
            out.add(value)
    stack = [node.get(k) for k in ('NodeResources', 'Resources', 'Links', 'HostNetworks')]
    while stack:
        v = stack.pop()
        if isinstance(v, dict):
            stack += v.values()
        elif isinstance(v, list):
            stack += v
        elif isinstance(v, str):
            out.add(v)
    return {t for t in out if len(t) > 3 and t not in ('true', 'false', 'linux', 'host', 'default', 'bridge', 'ipv4', 'ipv6',
                                                       'global', 'grpc')}


def streams(conn):
    """{(up, stream): payload} of one connection"""
    out = {}
    for up, data in conn:
        if len(data) > 12 and data[1] == 0:
            key = up, data[4:8]
            out[key] = out.get(key, b'') + data[12:]
    return out


def registered(conns):
    """the node of the first Node.Register"""
    for conn in conns:
        for (up, _), data in streams(conn).items():
            at = data.find(b'Node.Register')
            for skip in range(16 if up and at >= 0 else 0):
                body = try_unpack(data, at + 13 + skip)
                if body and 'Node' in body:
                    return body['Node']
    raise SystemExit('nothing was registered')


def scrub(conns):
    """replaces inside of whole streams, because a text may stand in two frames, and cuts them again"""
    node = registered(conns)
    swap = {node['ID']: ID, node['SecretID']: SECRET}
    for n, text in enumerate(sorted(texts(node), key=lambda t: (-len(t), t))):
        swap.setdefault(text, same_length(text, n))
    for conn in conns:
        whole = streams(conn)
        for key in whole:
            for old, new in swap.items():
                whole[key] = whole[key].replace(old.encode(), new.encode())
        for n, (up, data) in enumerate(conn):
            if len(data) > 12 and data[1] == 0:
                key = up, data[4:8]
                part, whole[key] = whole[key][:len(data) - 12], whole[key][len(data) - 12:]
                conn[n] = up, data[:12] + part


def try_unpack(data, at):
    try:
        v, _ = unpack(data, at)
        return v if isinstance(v, dict) else None
    except (Short, KeyError, IndexError, TypeError, RecursionError):
        return None


def main():
    seconds, path = int(sys.argv[2]), sys.argv[3]
    server = Proxied(server='min_heartbeat_ttl = "4s" heartbeat_grace = "10s"')
    tap = Tap(server.front, server.rpc)
    client = None
    try:
        server.start().wait()
        tap.start()
        target = type('Target', (), {'rpc': server.front})
        client = RealClient(target)
        client.start()
        node_id = client.node_id()
        wait_until('node ready', lambda: server.node(node_id)['Status'] == 'ready', 90)
        time.sleep(seconds)
        conns = [list(c) for c in tap.conns]
    finally:
        if client:
            client.cleanup()
        server.cleanup()
    conns = [list(frames(c)) for c in conns]
    scrub(conns)
    with open(path, 'w', encoding='ascii') as f:
        f.write(f'# A Nomad {version()} client at picket-server, {seconds} s from ready on (tests/compat/record.py).\n'
                '# > client to server, < server to client; one frame a line; = next connection.\n')
        for n, c in enumerate(conns):
            f.write(f'= {n}\n')
            for up, data in c:
                f.write(('> ' if up else '< ') + data.hex() + '\n')


if __name__ == '__main__':
    main()
