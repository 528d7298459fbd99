"""The same blocking queries at a real server and at ours, straight and through a picketd that joined each: what wakes them,
at which index they answer, what a stop of the server does to them.

An outcome does not depend on how fast anything was: a query that ends with a newer index was woken, one that ends with the
index it came with has timed out.
"""
import concurrent.futures
import http.client
import os
import sys
import threading
import time
import unittest
import uuid

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from nomad import RealServer, version                                   # noqa: E402
from programs import ProgramCase, http_get                              # noqa: E402
from wire import Rpc, beat, fake_node, register, wait_until              # noqa: E402

MISSING = str(uuid.uuid4())
WAIT = float(os.environ.get('BLOCKING_WAIT') or 6)      # seconds that a query which nothing wakes takes
QUIET = 4                                               # seconds without a write, before one is made

TARGETS = ('/v1/nodes', '/v1/nodes?prefix=ffffffff', '/v1/nodes?stale', '/v1/node/{node}', '/v1/node/' + MISSING,
           '/v1/node/{node}/allocations')

ODD = (('GET', '/v1/nodes?index=x'), ('GET', '/v1/nodes?index=-1'), ('GET', '/v1/nodes?index=1.5'), ('GET', '/v1/nodes?wait=x'),
       ('GET', '/v1/nodes?index=1&wait=-1s'), ('GET', '/v1/nodes?index='), ('GET', '/v1/nodes?index=&wait='),
       ('GET', '/v1/nodes?index=0&wait=60s'), ('GET', '/v1/nodes?index=1&wait=60'),
       ('GET', '/v1/nodes?stale&consistent'), ('GET', '/v1/nodes?consistent'), ('HEAD', '/v1/nodes'),
       ('HEAD', '/v1/node/{node}'), ('GET', '/v1/node/' + MISSING + '?index=0'), ('GET', '/v1/node/{node}?index=1'),
       ('GET', '/v1/nodes?prefix=f&index=1'), ('GET', '/v1/nodes?index=18446744073709551615&wait=1s'),
       ('GET', '/v1/nodes?index=18446744073709551616'))
if tuple(int(x) for x in version().split('.')[:2]) >= (1, 5):    # older ones read every value as true
    ODD += (('GET', '/v1/nodes?stale=maybe'),)


def index_of(port, target):
    return int(http_get(port, target)[1]['x-nomad-index'])


def with_index(target, index, wait=WAIT):
    return f'{target}{"&" if "?" in target else "?"}index={index}&wait={int(wait * 1000)}ms'


class Side:
    """one server with a node of ours on it, and an agent that has joined it"""

    def __init__(self, case, server):
        self.server = server
        self.agent = case.agent([server]).start()
        self.agent.wait_api()
        self.rpc = Rpc(server.rpc, timeout=60)
        self.node = fake_node(str(uuid.uuid4()), str(uuid.uuid4()))
        self.alive, self.done = [], threading.Event()
        register(self.rpc, self.node)
        self.up()
        beats = threading.Thread(target=self.keep_beating)
        beats.start()
        case.addCleanup(beats.join)
        case.addCleanup(self.done.set)
        case.ready(server, self.agent.node_id(), 60)
        case.addCleanup(self.rpc.close)
        self.quiet()

    def quiet(self):
        """until nothing has been written for some seconds"""
        def steady():
            before = index_of(self.server.http, '/v1/nodes')
            time.sleep(QUIET)
            return index_of(self.server.http, '/v1/nodes') == before

        wait_until('nobody writes', steady, 120)

    def keep_beating(self):
        """no deadline passes while nobody means it: a node that was ready stays so without a write"""
        with Rpc(self.server.rpc, timeout=60) as rpc:
            while not self.done.wait(2):
                for node in list(self.alive):
                    beat(rpc, node)

    def new_node(self):
        node = fake_node(str(uuid.uuid4()), str(uuid.uuid4()))
        register(self.rpc, node)
        self.alive.append(node)

    def register_again(self):
        register(self.rpc, self.node)

    def down(self):
        self.alive.remove(self.node)
        time.sleep(1)       # a beat that is on its way
        beat(self.rpc, self.node, 'down')

    def up(self):
        beat(self.rpc, self.node)
        self.alive.append(self.node)

    def same_beat(self):
        beat(self.rpc, self.node)

    def event(self):
        self.rpc.call('Node.EmitEvents', {'Region': 'global', 'AuthToken': self.node['SecretID'], 'NodeEvents': {
            self.node['ID']: [{'Message': 'm', 'Subsystem': 'Driver', 'Details': {}, 'CreateIndex': 0}]}})

    def target(self, t):
        return t.format(node=self.node['ID'])

    def label(self, index):
        """in words: which of the two indexes that is"""
        status, headers, _ = http_get(self.server.http, self.target('/v1/node/{node}'))
        if status == 200 and index == int(headers['x-nomad-index']):
            return 'of the node'
        return 'of the table' if index == index_of(self.server.http, '/v1/nodes') else 'another'


def ask(side, port, target, index):
    """of one query that waits: status, whether it was woken, at which index it stands, the other headers"""
    status, headers, _ = http_get(port, with_index(target, index), timeout=WAIT * 4 + 60)
    now = int(headers['x-nomad-index'])
    return (status, 'news' if now > index else 'time', side.label(now) if now > index else 'as it was',
            headers.get('x-nomad-knownleader'), headers.get('x-nomad-lastcontact') == '0' or 'through an agent')


def after(side, what):
    """what becomes of each query that waits while that happens"""
    side.quiet()
    jobs = {}
    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        for way, port in (('straight', side.server.http), ('by the agent', side.agent.http)):
            for t in TARGETS:
                target = side.target(t)
                index = max(1, index_of(side.server.http, target))
                jobs[way, t] = pool.submit(ask, side, port, target, index)
        time.sleep(1)       # they are on their way; who comes late finds the news and tells the same
        getattr(side, what)()
        return {key: job.result() for key, job in jobs.items()}


def odd(side):
    out = {}
    for method, t in ODD:
        status, headers, body = http_get(side.server.http, side.target(t), method, timeout=60)
        out[method, t] = (status, body if status >= 400 else '', 'x-nomad-index' in headers, headers.get('x-nomad-knownleader'))
    return out


def at_a_stop(server):
    """how queries end that wait while the server is told to stop"""
    def wait():
        c = http.client.HTTPConnection('127.0.0.1', server.http, timeout=120)
        try:
            c.request('GET', with_index('/v1/nodes', index, 60))
            return c.getresponse().status
        except (http.client.HTTPException, ConnectionError) as e:
            return 'closed' if isinstance(e, (http.client.RemoteDisconnected, ConnectionError)) else repr(e)
        finally:
            c.close()

    def wait_rpc():
        try:
            with Rpc(server.rpc, timeout=120) as r:
                r.call('Node.List', {'Region': 'global', 'MinQueryIndex': index, 'MaxQueryTime': 60 * 10**9})
            return 'answered'
        except (EOFError, ConnectionError):
            return 'closed'

    index = index_of(server.http, '/v1/nodes')
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(wait), pool.submit(wait_rpc)]
        time.sleep(1)
        server.stop(seconds=60)
        return [job.result() for job in jobs]


class Blocking(ProgramCase):
    maxDiff = None

    def test_both_servers_do_the_same(self):
        real = RealServer()
        self.addCleanup(real.cleanup)
        real.start().wait()
        sides = [Side(self, real), Side(self, self.server().start().wait())]
        with self.subTest('odd requests'):
            theirs, ours = (odd(s) for s in sides)
            self.assertEqual(theirs, ours)
        for what in ('new_node', 'register_again', 'event', 'same_beat', 'down', 'up'):
            with self.subTest(what):
                with concurrent.futures.ThreadPoolExecutor(2) as pool:
                    theirs, ours = pool.map(lambda s, w=what: after(s, w), sides)
                self.assertEqual(theirs, ours)
        with self.subTest('a stop'):
            for s in sides:
                s.done.set()
            ends = [at_a_stop(s.server) for s in sides]
            print(f'# RESULT nomad {version()}: queries that wait at a stop, HTTP and RPC: {ends[0]}', flush=True)
            self.assertEqual(*ends)


if __name__ == '__main__':
    unittest.main()
