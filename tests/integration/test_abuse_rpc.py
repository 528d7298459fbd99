"""Peers without manners over RPC: sessions, streams, half-sent requests; the others are served meanwhile."""
import contextlib
import os
import socket
import struct
import time

from abuse import FULL, AbuseCase, address, from_address, full, hear, raise_descriptors
from programs import SharedServer
from wire import (FIN, RST, SYN, YAMUX_DATA, YAMUX_WINDOW, Rpc, RpcError, beat, pack, register, unpack,
                  wait_until)

A = SharedServer.NODE
BUSY = 'rpc: the server is busy: too much waits in its connections'


def setUpModule():
    raise_descriptors()


class PerAddress(AbuseCase):
    def test_sessions_and_streams_of_an_address(self):
        srv = self.limited(rpc=26).start().wait()
        before = self.descriptors(srv)
        for _ in range(50):  # churn: an orderly end, a reset, a half-close
            held = [Rpc(srv.rpc) for _ in range(3)]
            for r in held:
                self.addCleanup(r.close)
            held[1].sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
            with contextlib.suppress(OSError):  # one too many, and closed already
                held[2].sock.shutdown(socket.SHUT_WR)
            for r in held:
                r.close()
        wait_until('they are forgotten', lambda: self.descriptors(srv) <= before)
        held = [Rpc(srv.rpc) for _ in range(20)]
        for r in held:
            self.addCleanup(r.close)
            self.assertEqual(r.call('Status.Ping'), {})
        streams = [self.dial(srv.rpc) for _ in range(6)]  # 20 fewer than sessions
        for s in streams:
            s.sendall(b'\x05')
        time.sleep(0.3)
        self.assertEqual(hear(self.dial(srv.rpc)), b'')  # the 27th, closed without a word
        streams.pop().close()
        wait_until('there is room', lambda: self.pings(srv))
        for s in streams:
            s.settimeout(0.01)
            with self.assertRaises(socket.timeout):
                s.recv(1)
        for r in held:
            self.assertEqual(r.call('Status.Ping'), {})
        with from_address(srv.rpc, '127.0.0.2') as r:
            self.assertEqual(r.call('Status.Ping'), {})
        for r in held:
            r.close()
        wait_until('they are forgotten', lambda: self.descriptors(srv) <= before + 6)
        over = self.dial(srv.rpc)  # with room for sessions, but not for streams
        extra = self.dial(srv.rpc)
        for s in (extra, over):
            s.sendall(b'\x05')
        self.assertEqual(hear(over), b'')
        self.assertTrue(self.pings(srv))

    @staticmethod
    def pings(srv):
        with Rpc(srv.rpc) as r:
            return r.call('Status.Ping') == {}


class Misuse(SharedServer, AbuseCase):
    def test_silent_peers_have_five_seconds(self):
        with self.unharmed(self.srv):
            began = time.monotonic()
            held = [self.dial(self.srv.rpc) for _ in range(200)]
            self.served(self.srv)
            for s in held:
                self.assertEqual(hear(s, 30), b'')
            self.assertGreater(time.monotonic() - began, 4)

    def test_a_request_byte_by_byte_is_a_request(self):
        with Rpc(self.srv.rpc) as r:
            sock, raw = r.sock, []
            r.sock = type('Kept', (), {'sendall': staticmethod(raw.append)})
            stream = r.open()
            r.send(stream, 'Status.Ping', {})
            r.sock = sock
            for b in b''.join(raw):
                sock.sendall(bytes([b]))
            self.assertEqual(r.receive(stream)[1], {})

    def test_frames_byte_by_byte_hold_nobody_up(self):
        with self.unharmed(self.srv):
            held = [Rpc(self.srv.rpc) for _ in range(50)]
            frame = struct.pack('>BBHII', 0, YAMUX_DATA, SYN, 1, 1000) + b'\x01' + b'\x82' * 900
            for at in range(20):
                for r in held:
                    r.sock.sendall(frame[at:at + 1])
                self.served(self.srv)
            for r in held:
                r.close()

    def test_streams_without_requests_are_bounded(self):
        with self.unharmed(self.srv), Rpc(self.srv.rpc) as r:
            before = self.rss_mib(self.srv)
            streams = [r.open() for _ in range(1100)]  # with their type byte, and nothing else
            ok, refused = r.open(), 0
            end = time.monotonic() + 10
            r.frame(2, SYN, 0, length=77)  # a ping: its answer stands behind all of it
            while time.monotonic() < end:
                kind, flags, _, length, _ = any_frame(r)
                refused += bool(flags & RST)
                if kind == 2 and length == 77:
                    break
            self.assertEqual(refused, len(streams) + 1 - 1024)
            self.assertLess(self.rss_mib(self.srv), before + 20)
            self.assertGreater(ok, 0)
            self.served(self.srv)
            r.frame(YAMUX_WINDOW, FIN, streams[0])
            r.send(streams[1], 'Status.Ping', {})  # those that were opened work
            self.assertEqual(r.receive(streams[1])[1], {})

    def test_streams_without_a_type_byte_are_bounded(self):
        with self.unharmed(self.srv), Rpc(self.srv.rpc) as r:
            for i in range(300):
                r.frame(YAMUX_WINDOW, SYN, 1 + 2 * i)
            r.frame(2, SYN, 0, length=77)
            refused = 0
            while True:
                kind, flags, _, length, _ = any_frame(r)
                refused += bool(flags & RST)
                if kind == 2 and length == 77:
                    break
            self.assertEqual(refused, 300 - 256)
            self.served(self.srv)

    def test_half_closed_and_deaf_peers_release_what_waits(self):
        with self.unharmed(self.srv):
            held = []
            for n in range(60):
                r = Rpc(self.srv.rpc)
                stream = r.open()
                r.send(stream, 'Node.GetClientAllocs', {'NodeID': A['ID'], 'SecretID': A['SecretID'], 'Region': 'global',
                                                        'MinQueryIndex': 10 ** 9})
                held.append(r)
            time.sleep(0.3)
            self.served(self.srv)
            for r in held:
                r.sock.shutdown(socket.SHUT_WR)
            for r in held:
                self.assertIsNotNone(hear(r.sock, 20), 'not closed')
                r.close()

    @full
    def test_peers_that_answer_no_ping_are_gone_within_a_minute(self):
        with self.unharmed(self.srv):
            held = [Rpc(self.srv.rpc) for _ in range(50)]
            wait_until('they are gone', lambda: self.descriptors(self.srv) < 30, 75)
            for r in held:
                r.close()

    @full
    def test_half_sent_requests_have_two_minutes(self):
        with self.unharmed(self.srv), Rpc(self.srv.rpc) as r:
            stream = r.open()
            raw = pack({'Seq': 1, 'ServiceMethod': 'Node.Register'}) + b'\xdb\x00\x01\x00\x00'
            r.frame(YAMUX_DATA, 0, stream, raw)
            began = time.monotonic()
            r.sock.settimeout(10)
            while True:
                self.assertLess(time.monotonic() - began, 180, 'it is still there')
                r.frame(YAMUX_DATA, 0, stream, b'x')
                try:
                    _, flags, sid, _, _ = r.read_frame()
                except socket.timeout:
                    continue
                if sid == stream and flags & RST:
                    break
            self.assertGreater(time.monotonic() - began, 115)
            self.assertEqual(r.call('Status.Ping'), {})  # the session is as it was


def any_frame(r):
    """any frame, pings and their answers too"""
    head = r._exactly(12)
    _, kind, flags, stream, length = struct.unpack('>BBHII', head)
    return kind, flags, stream, length, r._exactly(length) if kind == YAMUX_DATA else b''


class Memory(AbuseCase):
    def test_half_sent_requests_do_not_take_the_machine(self):
        n, mib = (1000 if FULL else 40), 14
        srv = self.server().start(prefix=('prlimit', f'--nofile={n + 400}')).wait()
        with self.unharmed(srv, mib=40):
            held, high, told = [], 0, 0
            for i in range(n):
                r = from_address(srv.rpc, address(i))
                held.append(r)
                r.sock.settimeout(5)
                stream = r.open()
                head = pack({'Seq': 1, 'ServiceMethod': 'Node.Register'}) + b'\xdb' + struct.pack('>I', 15 << 20)
                told += self.stuff(r, stream, head, mib << 20)
                if i % 10 == 0:
                    high = max(high, self.rss_mib(srv))
                    self.served(srv)
            high = max(high, self.rss_mib(srv))
            self.assertLess(high, 1000)
            self.assertGreater(told, 0, f'nobody was refused; {high} MiB')
            with Rpc(srv.rpc) as r:  # small requests have the last quarter
                register(r, A)
                self.assertTrue(beat(r, A)['HeartbeatTTL'])
            for r in held:
                r.close()

    def stuff(self, r, stream, head, size):
        """half a request, as fast as the window allows; 1 when it was refused in words"""
        window, sent, data = 262144 - 1, 0, b''
        block = b'x' * 65536
        while sent < size:
            part = head if not sent else block
            while window < len(part):
                kind, flags, sid, length, payload = r.read_frame()
                if sid != stream:
                    continue
                window += length if kind == YAMUX_WINDOW else 0
                data += payload
                if flags & (RST | FIN) or payload:
                    if not payload:
                        return 0
                    header, _ = unpack(data)
                    self.assertEqual(header['Error'], BUSY)
                    return 1
            r.frame(YAMUX_DATA, 0, stream, part)
            window -= len(part)
            sent += len(part)
        return 0


class Descriptors(AbuseCase):
    def test_beats_go_on_when_sessions_have_taken_all(self):
        limit = 200
        srv = self.server().start(prefix=('prlimit', f'--nofile={limit}:{limit}')).wait()
        with Rpc(srv.rpc) as r:
            register(r, A)
            held = [from_address(srv.rpc, address(i)) for i in range(limit)]
            wait_until('the log says so', lambda: 'no descriptors are left' in srv.log())
            self.assertLessEqual(self.descriptors(srv), limit * 3 // 4 + 2)
            for _ in range(20):
                self.assertTrue(beat(r, A)['HeartbeatTTL'])
            register(r, {**A, 'Name': 'renamed'})  # its database has descriptors of its own
            self.assertTrue(os.path.exists(os.path.join(srv.data, 'server', 'state.db')))
            alive = 0
            for h in held:
                try:
                    alive += h.call('Status.Ping') == {}
                except (OSError, EOFError, RpcError):
                    pass
            self.assertGreater(alive, limit // 2)
            for h in held:
                h.close()
            wait_until('there is room', lambda: self.descriptors(srv) < 30, 30)
        self.served(srv)
