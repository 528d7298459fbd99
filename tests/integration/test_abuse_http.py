"""Peers without manners over HTTP: the program goes on serving the others, within its ceilings, and says no in words."""
import socket
import time

from abuse import FULL, MIB, AbuseCase, address, answer, dial, full, hear, raise_descriptors, say
from programs import SharedServer, http_get
from wire import Rpc, register, wait_until

GET = b'GET /v1/status/leader HTTP/1.1\r\nHost: h\r\n\r\n'
TOO_MANY = 'Your IP is issuing too many concurrent connections, please rate limit your calls\n'
BUSY = 'the server is busy: too much waits in its connections'
A = SharedServer.NODE


def setUpModule():
    raise_descriptors()


def one(s, request=GET):
    """one answer on a connection that goes on"""
    s.sendall(request)
    raw = b''
    while b'\r\n\r\n' not in raw:
        more = s.recv(4096)
        if not more:
            raise EOFError
        raw += more
    return answer(raw)


class PerAddress(AbuseCase):
    def test_connections_of_an_address_are_counted_right_under_churn(self):
        srv = self.limited(http=5).start().wait()
        for _ in range(100):
            held = [self.dial(srv.http) for _ in range(5)]
            for n, s in enumerate(held):
                if n % 2:
                    s.shutdown(socket.SHUT_WR)
                s.close()
        held = []

        def five():
            while len(held) < 5:
                s = dial(srv.http)
                try:
                    if one(s)[0] != 200:
                        raise EOFError
                except (OSError, EOFError):
                    s.close()
                    return False
                held.append(s)
            return True
        wait_until('all that were closed are forgotten', five)
        for s in held:
            self.addCleanup(s.close)
        # ten refusals a second have words; those before may have used them up
        status, headers, body = answer(wait_until('a refusal in words', lambda: hear(self.dial(srv.http))))
        self.assertEqual((status, body), (429, TOO_MANY))
        self.assertEqual(headers['content-type'].split(';')[0], 'text/plain')
        self.assertEqual(headers['connection'], 'close')
        self.assertEqual(headers['retry-after'], '1')
        self.assertEqual(one(self.dial(srv.http, '127.0.0.2'))[0], 200)  # another address
        for s in held:
            self.assertEqual(one(s)[0], 200)

    def test_a_thousand_refusals_are_not_a_thousand_answers(self):
        srv = self.limited(http=1).start().wait()
        wait_until('the first is forgotten', lambda: self.descriptors(srv) < 20)
        self.assertEqual(one(self.dial(srv.http))[0], 200)
        said = 0
        for _ in range(1000):
            s = dial(srv.http)
            said += bool(hear(s))
            s.close()
        self.assertGreater(said, 0)
        self.assertLess(said, 600)  # 100 at once, ten a second from then on
        self.assertEqual(one(self.dial(srv.http, '127.0.0.2'))[0], 200)


class Ceilings(SharedServer, AbuseCase):
    def refused(self, data, status, text=None):
        s = self.dial(self.srv.http)
        say(s, data)
        raw = hear(s, 20)
        self.assertIsNotNone(raw, 'not closed')
        got = answer(raw)
        self.assertEqual(got[0], status, got)
        if text:
            self.assertIn(text, got[2])
        s.close()

    def test_heads(self):
        with self.unharmed(self.srv):
            self.refused(b'GET / HTTP/1.1\r\nHost: h\r\nX: ' + b'x' * 40000 + b'\r\n\r\n', 431)
            self.refused(b'GET /' + b'x' * 40000 + b' HTTP/1.1\r\nHost: h\r\n\r\n', 431)
            self.refused(b'GET / HTTP/1.1\r\nHost: h\r\n' + b'X: y\r\n' * 200 + b'\r\n', 431)
            self.refused(b'GET / HTTP/1.1\r\n\r\n', 400)
            self.refused(b'\r\n' * 100, 400)

    def test_bodies(self):
        post = b'POST /v1/node/x/drain HTTP/1.1\r\nHost: h\r\n'
        chunked = post + b'Transfer-Encoding: chunked\r\n\r\n'
        with self.unharmed(self.srv):
            self.refused(post + b'Content-Length: 1048577\r\n\r\n', 413)
            self.refused(post + b'Content-Length: 99999999999999999\r\n\r\n', 413)
            self.refused(post + b'Expect: 100-continue\r\nContent-Length: 1048577\r\n\r\n', 413)
            self.refused(post + b'Expect: the-unexpected\r\nContent-Length: 1\r\n\r\n', 417)
            self.refused(chunked + (b'10000\r\n' + b'x' * 65536 + b'\r\n') * 17, 413)
            self.refused(chunked + b'1\r\nx\r\n' * 5 + b'1;' + b'e' * 300 + b'\r\n', 400)
            self.refused(chunked + b'0\r\n' + b'T: x\r\n' * 2000, 400)
            self.refused(chunked + b'f' * 16 + b'\r\n', 400)
            self.refused(chunked.replace(b'\r\n\r\n', b'\r\nContent-Length: 5\r\n\r\n'), 400)
        # tiny chunks are a body like any other
        s = self.dial(self.srv.http)
        s.sendall(chunked + b'1\r\nx\r\n' * 20000 + b'0\r\n\r\n')
        self.assertGreaterEqual(answer(s.recv(65536))[0], 400)

    def test_a_hundred_expectations_hold_nothing(self):
        with self.unharmed(self.srv):
            held = [self.dial(self.srv.http) for _ in range(100)]
            for s in held:
                s.sendall(b'PUT /v1/node/x/drain HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 1000000\r\n\r\n')
            for s in held:
                self.assertTrue(s.recv(100).startswith(b'HTTP/1.1 100'))
            self.assertLess(self.rss_mib(self.srv), 100)
            self.served(self.srv)
            for s in held:
                s.close()

    def test_requests_behind_one_that_waits_are_not_read_without_end(self):
        index = http_get(self.srv.http, '/v1/nodes')[1]['x-nomad-index']
        wait = f'GET /v1/nodes?index={index}&wait=60s HTTP/1.1\r\nHost: h\r\n\r\n'.encode()
        with self.unharmed(self.srv):
            before, held = self.rss_mib(self.srv), []
            for _ in range(50):
                s = self.dial(self.srv.http, timeout=0.2)
                s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
                s.sendall(wait)
                self.assertFalse(say(s, GET * (16 * MIB // len(GET))), 'all of it was taken')
                held.append(s)
            self.assertLess(self.rss_mib(self.srv), before + 40)
            self.served(self.srv)
            for s in held:
                s.close()

    def test_peers_that_close_their_side(self):
        index = http_get(self.srv.http, '/v1/nodes')[1]['x-nomad-index']
        wait = f'GET /v1/nodes?index={index}&wait=60s HTTP/1.1\r\nHost: h\r\n\r\n'.encode()
        with self.unharmed(self.srv):
            s = self.dial(self.srv.http)
            s.sendall(GET * 3)
            s.shutdown(socket.SHUT_WR)
            self.assertEqual(hear(s).count(b'HTTP/1.1 200'), 3)  # what it asked for it gets
            held = [self.dial(self.srv.http) for _ in range(50)]
            for s in held:
                s.sendall(wait)
            time.sleep(0.3)
            for s in held:  # a vanished client looks the same: nobody waits
                s.shutdown(socket.SHUT_WR)
            for s in held:
                self.assertEqual(hear(s), b'')


class Slow(AbuseCase):
    def test_loris(self):
        """a byte now and then: heads have 10 s, bodies 30 s"""
        srv = self.server().start().wait()
        head = b'GET /v1/status/leader HTTP/1.1\r\nHost: h\r\nX: '
        body = b'PUT /v1/node/x/drain HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\n'
        with self.unharmed(srv):
            began = time.monotonic()
            heads = [self.dial(srv.http) for _ in range(50)]
            bodies = [self.dial(srv.http) for _ in range(50)]
            for s in heads:
                s.sendall(head)
            for s in bodies:
                s.sendall(body)
            while time.monotonic() < began + (33 if FULL else 8):
                for s in heads + bodies:
                    say(s, b'x')
                self.served(srv)
                time.sleep(0.5)
            for s in heads + (bodies if FULL else []):
                raw = hear(s, 60)
                self.assertIsNotNone(raw, 'not closed')
                if raw:  # a byte that crossed the close makes it a reset
                    self.assertEqual(answer(raw)[0], 408)
            self.assertGreater(time.monotonic() - began, 9)
            for s in bodies:
                s.close()

    @full
    def test_readers_that_do_not_read(self):
        srv = self.server().start().wait()
        with Rpc(srv.rpc) as r:
            register(r, {**A, 'Meta': {f'k{i}': 'x' * 9000 for i in range(20)}})
        with self.unharmed(srv):
            held = []
            for i in range(100):
                s = socket.socket()
                s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                s.connect(('127.0.0.1', srv.http))
                self.addCleanup(s.close)
                s.sendall(f'GET /v1/node/{A["ID"]} HTTP/1.1\r\nHost: h\r\n\r\n'.encode() * 40)
                held.append(s)
            self.served(srv)
            high = self.rss_mib(srv)
            self.assertLess(high, 400)
            end = time.monotonic() + 240
            while self.descriptors(srv) > 50 and time.monotonic() < end:
                for s in held:
                    s.setblocking(False)
                    try:
                        s.recv(1)
                    except OSError:
                        pass
                time.sleep(5)
            self.assertLess(self.descriptors(srv), 50, 'they are still there')


class Memory(AbuseCase):
    def test_half_sent_bodies_do_not_take_the_machine(self):
        self.flood(10000 if FULL else 700, 900000, refusals=True)

    def test_small_ones_leave_no_holes_in_memory(self):
        self.flood(1000, 60000, refusals=False)

    def flood(self, n, size, refusals):
        srv = self.server().start(prefix=('prlimit', f'--nofile={n + 400}')).wait()
        head = b'PUT /v1/node/x/drain HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n'
        with self.unharmed(srv, mib=40):
            held, high = [], 0
            for i in range(n):
                s = dial(srv.http, address(i))
                say(s, head + b'x' * size)
                held.append(s)
                if i % 100 == 0:
                    high = max(high, self.rss_mib(srv))
                    self.served(srv)
            high = max(high, self.rss_mib(srv))
            self.assertLess(high, 800)
            refused = []
            for s in held:
                s.setblocking(False)
                try:
                    raw = s.recv(4096)
                    if raw:
                        refused.append(answer(raw))
                except OSError:
                    pass
            busy = [x for x in refused if x[0] == 503]
            self.assertEqual(bool(busy), refusals, f'{high} MiB')
            if busy:
                self.assertEqual((busy[0][2], busy[0][1]['retry-after']), (BUSY, '1'))
            with Rpc(srv.rpc) as r:  # small requests have the last quarter
                register(r, A)
            for s in held:
                s.close()


class Descriptors(AbuseCase):
    LIMIT = 256

    def test_when_they_are_gone_those_connected_are_served(self):
        srv = self.server().start(prefix=('prlimit', f'--nofile={self.LIMIT}:{self.LIMIT}')).wait()
        before = self.descriptors(srv)
        old, page, held, said = Rpc(srv.rpc), self.dial(srv.http), [], []
        self.addCleanup(old.close)
        self.assertEqual(old.call('Status.Ping'), {})
        self.assertEqual(one(page)[0], 200)
        for i in range(2 * self.LIMIT):
            s = dial((srv.http, srv.rpc)[i % 2], address(i))
            s.settimeout(0.001)
            try:
                said.append(s.recv(4096))
            except OSError:
                pass
            held.append(s)
        refused = [answer(raw) for raw in said if raw]
        for s in held:
            raw = hear(s, 0.01)
            if raw:
                refused.append(answer(raw))
        self.assertEqual({x[0] for x in refused}, {503})
        self.assertEqual(refused[0][1]['retry-after'], '1')
        self.assertLess(self.descriptors(srv), self.LIMIT - 16)
        self.assertEqual(srv.log().count('no descriptors are left'), 1)
        register(old, A)  # the store writes
        health = one(page, b'GET /v1/agent/health HTTP/1.1\r\nHost: h\r\n\r\n')
        self.assertEqual(health[0], 200)
        self.assertIn('out of descriptors', health[2])
        for s in held:
            s.close()
        wait_until('they are back', lambda: self.descriptors(srv) <= before + 4, 60)
        self.served(srv)
        wait_until('it says so', lambda: 'there are descriptors for connections again' in srv.log(), 30)
        self.assertEqual(srv.log().count('no descriptors are left'), 1)
        self.assertNotIn('out of descriptors', http_get(srv.http, '/v1/agent/health')[2])
        self.assertEqual([n['ID'] for n in srv.nodes()], [A['ID']])
