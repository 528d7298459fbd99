"""What an agent does not know it asks of the servers: same answers, same waiting; and the unix socket."""
import gzip
import http.client
import json
import os
import select
import signal
import socket
import subprocess
import sys
import uuid
import zlib

from programs import ProgramCase, get_json, http_get, now, run_cli
from wire import Rpc, fake_node, register, wait_until

NODES = 400      # more than one slice of a list
AT_ONCE = 500
NOBODY = 65534
NO_LIMIT = 'limits { http_max_conns_per_client = 0 }'


def request(port, target, method='GET', headers=(), timeout=60):
    """(status, headers, raw body)"""
    c = http.client.HTTPConnection('127.0.0.1', port, timeout=timeout)
    try:
        c.request(method, target, headers=dict(headers))
        r = c.getresponse()
        return r.status, {k.lower(): v for k, v in r.getheaders()}, r.read()
    finally:
        c.close()


def open_request(port, target):
    """a request that is sent; its answer is to be read some time"""
    s = socket.create_connection(('127.0.0.1', port), 60)
    s.sendall(f'GET {target} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n'.encode())
    return s


def read_all(s, timeout=60):
    s.settimeout(timeout)
    data = b''
    while True:
        part = s.recv(1 << 16)
        if not part:
            return data
        data += part


def quiet(s, seconds=0.3):
    """nothing has come; only ever too kind: a slow machine hides an answer, it makes none"""
    return not select.select([s], [], [], seconds)[0]


def index_of(port, target='/v1/nodes'):
    return int(request(port, target)[1]['x-nomad-index'])


class Forward(ProgramCase):
    """one server with many nodes, two agents; for tests that only read or add nodes"""

    @classmethod
    def setUpClass(cls):
        cls.case = case = cls()
        cls.srv = case.server(server='min_heartbeat_ttl = "600s"').start().wait()
        cls.rpc = Rpc(cls.srv.rpc)
        cls.nodes = []
        for _ in range(NODES):
            cls.add_node()
        cls.a = case.agent([cls.srv], extra=NO_LIMIT).start().wait_api()
        cls.b = case.agent([cls.srv], extra=NO_LIMIT).start().wait_api()
        for x in (cls.a, cls.b):
            case.ready(cls.srv, x.node_id())

    @classmethod
    def tearDownClass(cls):
        cls.rpc.close()
        cls.case.doCleanups()

    @classmethod
    def add_node(cls):
        n = fake_node(str(uuid.uuid4()), str(uuid.uuid4()))
        register(cls.rpc, n)
        cls.nodes.append(n['ID'])
        return n['ID']

    def runTest(self):
        pass

    def both(self, target, headers=()):
        """the server's answer and the agent's, taken while nothing changed in between"""
        def take():
            first = request(self.srv.http, target, headers=headers)
            agent = request(self.a.http, target, headers=headers)
            again = request(self.srv.http, target, headers=headers)
            return (first, agent) if first[::2] == again[::2] else None
        return wait_until(f'{target}: twice the same answer', take)

    def assert_equal_answers(self, target, headers=()):
        srv, agent = self.both(target, headers)
        self.assertEqual(agent[0], srv[0], f'{target}: {agent[2][:200]}')
        self.assertEqual(agent[2], srv[2], target)
        for name in set(srv[1]) | set(agent[1]):
            if name != 'date':
                self.assertEqual(agent[1].get(name), srv[1].get(name), f'{target}: {name}')
        return srv

    def test_answers_are_the_servers(self):
        one, own = self.nodes[7], self.a.node_id()
        for target in ('/v1/nodes', '/v1/nodes?pretty', '/v1/nodes?stale', f'/v1/nodes?prefix={one[:4]}',
                       '/v1/nodes?prefix=0000000000', '/v1/nodes?resources=true&os=true', '/v1/nodes?per_page=3',
                       f'/v1/nodes?per_page=2&next_token={one}', '/v1/nodes?per_page=-1', f'/v1/node/{one}',
                       f'/v1/node/{one}?pretty', f'/v1/node/{self.b.node_id()}', f'/v1/node/{own}',
                       f'/v1/node/{one}/allocations', f'/v1/node/{own}/allocations?pretty',
                       '/v1/node/nonsense/allocations', '/v1/regions', '/v1/agent/members', '/v1/agent/members?pretty',
                       '/v1/status/leader', '/v1/status/peers', '/v1/nodes?region=global'):
            with self.subTest(target=target):
                self.assertEqual(self.assert_equal_answers(target)[0], 200)

    def test_pages_add_up_to_the_list(self):
        ids, token = [], ''
        while token is not None:
            status, headers, body = request(self.a.http, f'/v1/nodes?per_page=150&next_token={token}')
            self.assertEqual(status, 200)
            ids += [n['ID'] for n in json.loads(body)]
            token = headers.get('x-nomad-nexttoken')
        self.assertEqual(ids, sorted(ids))
        self.assertTrue(set(self.nodes) <= set(ids))

    def test_errors_are_the_servers(self):
        for target in ('/v1/nodes?prefix=zz', '/v1/nodes?index=x', '/v1/nodes?stale=zz', '/v1/nodes?resources=maybe',
                       '/v1/node/short', '/v1/node/00000000-0000-0000-0000-000000000000', '/v1/node/', '/v1/nope',
                       '/v1/jobs', f'/v1/node/{self.nodes[0]}/drain'):
            with self.subTest(target=target):
                self.assertGreaterEqual(self.assert_equal_answers(target)[0], 400)

    def test_what_a_server_refuses_comes_as_rpc_error(self):
        for target, status, text in (
                ('/v1/nodes?region=mars', 500, 'rpc error: No path to region'),
                ('/v1/status/leader?region=mars', 500, 'rpc error: No path to region'),
                ('/v1/nodes?filter=x', 500, 'rpc error: filter expressions are not supported by this server')):
            got, _, body = http_get(self.a.http, target)
            self.assertEqual((got, body), (status, text))

    def test_compressed_lists_hold_the_same(self):
        plain = self.both('/v1/nodes')[0][2]
        for encoding, undo in (('gzip', gzip.decompress), ('deflate', lambda b: zlib.decompress(b, -zlib.MAX_WBITS))):
            for target, want in (('/v1/nodes', plain), ('/v1/nodes?pretty', self.both('/v1/nodes?pretty')[0][2])):
                status, headers, body = request(self.a.http, target, headers={'Accept-Encoding': encoding}.items())
                self.assertEqual((status, headers['content-encoding']), (200, encoding))
                self.assertEqual(undo(body), want)

    def test_writes_reach_the_server(self):
        """picket-server has no drain yet and says so in the words of Go's net/rpc; bad bodies do not get that far"""
        node = f'/v1/node/{self.nodes[0]}'
        for path, body, status, text in (
                ('/drain', '{"DrainSpec":{"Deadline":1}}', 500, "rpc error: rpc: can't find method Node.UpdateDrain"),
                ('/evaluate', '', 500, "rpc error: rpc: can't find method Node.Evaluate"),
                ('/drain', '', 400, 'Request body is empty'),
                ('/drain', '{', 400, 'unexpected EOF'),
                ('/drain?enable=x', '{}', 400, 'invalid enable value')):
            got, _, answer = http_get(self.a.http, node + path, 'PUT', body)
            self.assertEqual((got, answer), (status, text))
        self.assertIn(f'path={node}/evaluate', self.a.log())

    def test_a_blocking_list_wakes(self):
        before = index_of(self.a.http)
        waiting = open_request(self.a.http, f'/v1/nodes?index={before}&wait=60s')
        with waiting:
            self.assertTrue(quiet(waiting))
            new = self.add_node()
            head, _, body = read_all(waiting).partition(b'\r\n\r\n')
        self.assertIn(b' 200 ', head)
        self.assertIn(new, [n['ID'] for n in json.loads(body)])
        self.assertGreater(int(head.lower().split(b'x-nomad-index:')[1].split()[0]), before)

    def test_a_blocking_node_ends_with_its_time(self):
        target = f'/v1/node/{self.nodes[1]}'
        before, start = index_of(self.a.http, target), now()
        status, headers, _ = request(self.a.http, f'{target}?index={before}&wait=1s')
        self.assertEqual((status, int(headers['x-nomad-index'])), (200, before))
        self.assertGreaterEqual(now() - start, 1)

    def test_many_wait_at_once(self):
        before = index_of(self.a.http)
        waiting = [open_request(self.a.http, f'/v1/nodes?index={before}&wait=120s&per_page=1') for _ in range(AT_ONCE)]
        try:
            self.assertTrue(quiet(waiting[0]))
            self.assertEqual(http_get(self.a.http, f'/v1/node/{self.b.node_id()}')[0], 200)  # others are served meanwhile
            for s in waiting[:50]:  # some lose patience
                s.close()
            self.add_node()
            for s in waiting[50:]:
                self.assertTrue(read_all(s, 120).startswith(b'HTTP/1.1 200 '))
        finally:
            for s in waiting:
                s.close()

    def test_many_ask_at_once(self):
        want = self.both(f'/v1/node/{self.b.node_id()}')[0][2]
        asked = [open_request(self.a.http, f'/v1/node/{self.b.node_id()}') for _ in range(AT_ONCE)]
        for s in asked:
            with s:
                self.assertEqual(read_all(s, 120).partition(b'\r\n\r\n')[2], want)

    def test_a_slow_reader_holds_up_nobody(self):
        slow = [open_request(self.a.http, '/v1/nodes?resources=true&pretty') for _ in range(20)]
        try:
            self.assertEqual(http_get(self.a.http, f'/v1/node/{self.b.node_id()}')[0], 200)
            slow[0].recv(1)
            self.assertEqual(http_get(self.a.http, '/v1/nodes?per_page=1')[0], 200)
            for s in slow[1:]:
                body = read_all(s).partition(b'\r\n\r\n')[2]
                self.assertGreaterEqual(len(json.loads(body)), NODES)
        finally:
            for s in slow:
                s.close()

    def test_the_command_works_through_an_agent(self):
        for args in (('node', 'status', self.nodes[3]), ('node', 'status', '-self')):
            status, out, err = run_cli(*args, port=self.a.http)
            self.assertEqual(status, 0, err)
            self.assertRegex(out, r'ID +=')


class Lost(ProgramCase):
    """servers that go"""

    def test_a_server_that_dies_while_a_request_waits(self):
        srv = self.server(server='min_heartbeat_ttl = "600s"').start().wait()
        a, b = (self.agent([srv]).start().wait_api() for _ in range(2))
        for x in (a, b):
            self.ready(srv, x.node_id())
        target = f'/v1/node/{b.node_id()}'
        with open_request(a.http, f'{target}?index={index_of(a.http, target) + 1000}&wait=120s') as waiting:
            self.assertTrue(quiet(waiting))
            srv.kill()
            answer = read_all(waiting)
        self.assertTrue(answer.startswith(b'HTTP/1.1 500 '), answer)
        self.assertIn(b'\r\n\r\nrpc error: ', answer)
        # the list is the own node, and says how sure it is
        def alone():
            status, headers, body = request(a.http, '/v1/nodes')
            return status == 200 and headers['x-nomad-knownleader'] == 'false' and json.loads(body)
        self.assertEqual([n['ID'] for n in wait_until('own node alone', alone)], [a.node_id()])
        self.assertEqual(request(a.http, f'/v1/node/{a.node_id()}')[0], 200)
        self.assertEqual(request(a.http, f'/v1/node/{a.node_id()}/allocations')[::2], (200, b'[]'))
        status, _, body = request(a.http, target)
        self.assertEqual(status, 500)
        self.assertIn(b'connect: ', body)
        srv.start().wait()
        wait_until('both nodes again', lambda: len(json.loads(request(a.http, '/v1/nodes')[2])) == 2, 60)

    def test_servers_are_replaced_by_hand(self):
        first, second = (self.server().start().wait() for _ in range(2))
        a = self.agent([first]).start().wait_api()
        self.ready(first, a.node_id())
        self.assertEqual(get_json(a.http, '/v1/agent/servers'), [f'127.0.0.1:{first.rpc}'])
        self.assertEqual(http_get(a.http, '/v1/agent/servers', 'PUT')[::2], (400, 'missing server address'))
        self.assertEqual(http_get(a.http, '/v1/agent/servers?address=:1', 'PUT')[0], 400)
        self.assertEqual(get_json(a.http, '/v1/agent/servers'), [f'127.0.0.1:{first.rpc}'])
        self.assertEqual(http_get(a.http, f'/v1/agent/servers?address=127.0.0.1:{second.rpc}', 'PUT')[::2], (200, ''))
        self.assertEqual(get_json(a.http, '/v1/agent/servers'), [f'127.0.0.1:{second.rpc}'])
        self.ready(second, a.node_id(), 60)
        self.assertEqual(http_get(first.http, '/v1/agent/servers')[::2], (501, 'Invalid method'))


class UnixSocket(ProgramCase):
    def curl(self, path, target, method='GET', uid=None):
        """(status, body) over the unix socket, as another user if need be"""
        code = ('import http.client, os, socket, sys\n'
                'if sys.argv[4:]: os.setgroups([]); os.setuid(int(sys.argv[4]))\n'
                'c = http.client.HTTPConnection("localhost"); c.sock = socket.socket(socket.AF_UNIX)\n'
                'c.sock.settimeout(20); c.sock.connect(sys.argv[1])\n'
                'c.request(sys.argv[2], sys.argv[3]); r = c.getresponse()\n'
                'print(r.status); print(r.read().decode(), end="")')
        r = subprocess.run([sys.executable, '-c', code, path, method, target, *([str(uid)] if uid else [])],
                           capture_output=True, text=True, timeout=60, check=True)
        status, _, body = r.stdout.partition('\n')
        return int(status), body

    def test_who_may_do_what(self):
        self.assertEqual(os.geteuid(), 0, 'the tests of the unix socket change users: run them as root')
        srv = self.server().start().wait()
        a = self.agent([srv]).start().wait_api()
        self.ready(srv, a.node_id())
        path = os.path.join(a.data, 'agent.sock')
        os.chmod(a.data, 0o755)
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o666)
        for uid in (None, NOBODY):
            status, body = self.curl(path, '/v1/node/' + a.node_id(), uid=uid)
            self.assertEqual((status, json.loads(body)['ID']), (200, a.node_id()))
        self.assertEqual(self.curl(path, '/v1/agent/reload', 'PUT', NOBODY), (403, 'Permission denied'))
        self.assertEqual(http_get(a.http, '/v1/agent/reload', 'PUT')[::2], (403, 'Permission denied'))
        self.assertEqual(self.curl(path, '/v1/agent/reload', 'PUT')[0], 200)
        # one line each; a name is looked up first
        for who in (f'peer=unix uid={NOBODY} user=nobody', 'peer=127.0.0.1:', 'peer=unix uid=0 user=root'):
            wait_until(who, lambda text=f'API write method=PUT path=/v1/agent/reload {who}': a.log().count(text) == 1)
        self.assertEqual(a.log().count('API write'), 3)
        status, out, err = run_cli('node', 'status', f'-address=unix://{path}')
        self.assertEqual(status, 0, err)
        self.assertIn(a.node_id()[:8], out)

    def test_a_dead_agents_socket_is_replaced(self):
        a = self.agent([1]).start().wait_api()
        path = os.path.join(a.data, 'agent.sock')
        a.kill()
        self.assertTrue(os.path.exists(path))
        a.start().wait_api()
        self.assertEqual(self.curl(path, '/v1/agent/self')[0], 200)
        self.assertEqual(a.stop(), 0)
        self.assertFalse(os.path.exists(path))

    def test_where_systemd_says(self):
        folder = self.tmpdir()
        a = self.agent([1]).start(env={'RUNTIME_DIRECTORY': folder + ':/nonexistent'}).wait_api()
        self.assertEqual(self.curl(os.path.join(folder, 'agent.sock'), '/v1/agent/self')[0], 200)
        self.assertFalse(os.path.exists(os.path.join(a.data, 'agent.sock')))

    def test_a_living_agents_socket_stays_its_own(self):
        folder = self.tmpdir()
        env = {'RUNTIME_DIRECTORY': folder}
        a = self.agent([1]).start(env=env).wait_api()
        b = self.agent([1]).start(env=env).wait_api()
        self.assertIn('the API is not on a unix socket', b.log())
        self.assertEqual(b.stop(signal.SIGTERM), 0)
        _, body = self.curl(os.path.join(folder, 'agent.sock'), '/v1/agent/self')
        self.assertEqual(json.loads(body)['stats']['client']['node_id'], a.node_id())

    def test_a_path_that_is_too_long_is_a_warning(self):
        folder = os.path.join(self.tmpdir(), 'x' * 110)
        os.mkdir(folder)
        a = self.agent([1]).start(env={'RUNTIME_DIRECTORY': folder}).wait_api()
        self.assertIn('at most 107 characters', a.log())
