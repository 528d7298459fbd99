"""What abusive peers are made of: raw connections by the hundred, from many addresses, that misbehave on purpose."""
import contextlib
import os
import resource
import socket
import time

from programs import ProgramCase, Server, http_get
from wire import Rpc, wait_until

FULL = bool(os.environ.get('ABUSE_FULL'))  # all connections, all waits: some ten minutes, some gigabytes
MIB = 1 << 20


def full(test):
    """what takes minutes: run with ABUSE_FULL=1 only; the unit tests hold the same rules against a clock of their own"""
    return test if FULL else None


def raise_descriptors():
    """this process holds the other end of everything"""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


class Limited(Server):
    """a server with limits of its own instead of none"""

    def __init__(self, http=100, rpc=100, **kwargs):
        self.limits = http, rpc
        super().__init__(**kwargs)

    def write_config(self, config):
        http, rpc = self.limits
        super().write_config(config.replace('rpc_max_conns_per_client = 0 http_max_conns_per_client = 0',
                                            f'rpc_max_conns_per_client = {rpc} http_max_conns_per_client = {http}'))


def dial(port, source=None, timeout=10):
    return socket.create_connection(('127.0.0.1', port), timeout, source_address=(source, 0) if source else None)


def from_address(rpc_port, source, first=b'\x06'):
    """a session from an address of its own, when one is given"""
    r = Rpc.__new__(Rpc)
    r.sock = dial(rpc_port, source)
    r.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    r.sock.sendall(first)
    r.next_id, r.seq, r.inbox = 1, 0, b''
    return r


def address(i):
    """one of many addresses of this host"""
    return f'127.{i // 64516 + 1}.{i // 254 % 254}.{i % 254 + 1}'


def hear(s, seconds=10):
    """everything until the peer closes; None: it does not"""
    end, out = time.monotonic() + seconds, b''
    while time.monotonic() < end:
        s.settimeout(max(0.01, end - time.monotonic()))
        try:
            more = s.recv(1 << 16)
        except socket.timeout:
            break
        except OSError:
            return out
        if not more:
            return out
        out += more
    return None


def answer(raw):
    """(status, headers with lower-case names, body) of the first answer in raw"""
    head, _, body = raw.partition(b'\r\n\r\n')
    lines = head.decode().split('\r\n')
    headers = {k.lower(): v for k, _, v in (line.partition(': ') for line in lines[1:])}
    return int(lines[0].split()[1]), headers, body.decode('utf-8', 'replace')


def say(s, data):
    """sends what the peer takes; False when it takes no more"""
    try:
        s.sendall(data)
        return True
    except OSError:
        return False


class AbuseCase(ProgramCase):
    def limited(self, *args, **kwargs):
        s = Limited(*args, **kwargs)
        self.addCleanup(s.cleanup)
        return s

    def dial(self, port, source=None, timeout=10):
        s = dial(port, source, timeout)
        self.addCleanup(s.close)
        return s

    @staticmethod
    def descriptors(program):
        return len(os.listdir(f'/proc/{program.proc.pid}/fd'))

    @staticmethod
    def rss_mib(program):
        return program.resident_kb()[0] >> 10

    @contextlib.contextmanager
    def unharmed(self, program, mib=120):
        """what was done inside leaves the program serving, its descriptors given back, its memory too"""
        descriptors, rss = self.descriptors(program), self.rss_mib(program)
        yield
        self.served(program)
        wait_until('descriptors are given back', lambda: self.descriptors(program) <= descriptors + 2, 60)
        if not program.keeps_freed_memory():
            wait_until('memory is given back', lambda: self.rss_mib(program) <= rss + mib, 60)

    def served(self, program):
        """a peer with manners, over both protocols"""
        status, _, body = http_get(program.http, '/v1/status/leader')
        self.assertEqual((status, body), (200, f'"127.0.0.1:{program.rpc}"'))
        with Rpc(program.rpc) as r:
            self.assertEqual(r.call('Status.Ping'), {})
