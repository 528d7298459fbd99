"""Peers that vanish: no FIN, no RST, nobody there any more."""
import ctypes
import os
import socket
import subprocess
import time

from abuse import AbuseCase, from_address, full
from programs import http_get
from wire import Rpc, fake_node, register, wait_until

A = fake_node('aaaaaaaa-0000-0000-0000-000000000001', 'aaaaaaaa-1111-1111-1111-000000000001')
TCP_REPAIR = 19
CLONE_NEWNET = 0x40000000
GONE = '127.77.0.5'


class Vanished(AbuseCase):
    """a reader over HTTP and an agent wait for a change, and are gone"""

    def waiting(self, srv, source=None):
        with Rpc(srv.rpc) as r:
            register(r, A)
        index = http_get(srv.http, '/v1/nodes')[1]['x-nomad-index']
        page = self.dial(srv.http, source)
        page.sendall(f'GET /v1/nodes?index={index}&wait=10m HTTP/1.1\r\nHost: h\r\n\r\n'.encode())
        session = from_address(srv.rpc, source)
        self.addCleanup(session.close)
        session.send(session.open(), 'Node.GetClientAllocs', {'NodeID': A['ID'], 'SecretID': A['SecretID'], 'Region': 'global',
                                                              'MinQueryIndex': 10 ** 9})
        ports = [s.getsockname()[1] for s in (page, session.sock)]
        time.sleep(1)
        self.assertEqual(self.connected(srv, ports), 2)
        return page, session, ports

    @staticmethod
    def connected(srv, ports):
        """how many connections from these ports the server has"""
        with open(f'/proc/{srv.proc.pid}/net/tcp', encoding='ascii') as f:
            rows = [line.split() for line in f]
        return sum(row[3] == '01' and int(row[2][-4:], 16) in ports for row in rows[1:])


class Restarted(Vanished):
    def test_a_host_that_was_restarted(self):
        """it knows of no connection: the first probe of the kernel, after 15 s of silence, finds out"""
        srv = self.server().start().wait()
        page, session, ports = self.waiting(srv)
        for sock in (page, session.sock):
            sock.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)
            sock.close()  # without a word
        time.sleep(1)
        self.assertEqual(self.connected(srv, ports), 2, 'they were told')
        wait_until('both are gone', lambda: self.connected(srv, ports) == 0, 60)
        self.served(srv)


class Nowhere:
    """a network without anybody else: its routes are the test's own"""

    def __init__(self, pid):
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.home, self.there = (os.open(f'/proc/{p}/ns/net', os.O_RDONLY) for p in ('self', pid))

    def enter(self, fd):
        if self.libc.setns(fd, CLONE_NEWNET) < 0:
            raise OSError(ctypes.get_errno(), 'setns')

    def __enter__(self):
        self.enter(self.there)
        return self

    def __exit__(self, *_):
        self.enter(self.home)
        os.close(self.home)
        os.close(self.there)


class Unreachable(Vanished):
    @full
    def test_a_host_that_cannot_be_reached_any_more(self):
        """nothing comes back from it, no reset either: pings find out over RPC, the kernel's probes over HTTP"""
        srv = self.server()
        home = os.readlink('/proc/self/ns/net')
        srv.start(prefix=('unshare', '-n', 'sh', '-c', 'ip link set lo up && exec "$0" "$@"'))
        wait_until('it is somewhere else', lambda: os.readlink(f'/proc/{srv.proc.pid}/ns/net') != home)
        with Nowhere(srv.proc.pid):
            srv.wait()
            page, session, ports = self.waiting(srv, GONE)
            subprocess.run(['ip', 'route', 'add', 'blackhole', GONE, 'table', 'local'], check=True)
            began, gone = time.monotonic(), []
            for port in (ports[1], ports[0]):
                wait_until('it is gone', lambda port=port: self.connected(srv, [port]) == 0, 240)
                gone.append(time.monotonic() - began)
            print(f'\ngone after {gone[0]:.0f} s (RPC) and {gone[1]:.0f} s (HTTP)')
            self.assertLess(gone[0], 75)   # a ping every 30 s, 10 s for its answer
            self.assertLess(gone[1], 180)  # 15 s, and 9 probes 15 s apart
            self.served(srv)
            del page, session
