"""Mixed load on a server whose answers go to a ledger: writers that send several requests at once, and readers of every kind."""
import http.client
import json
import random
import threading
import time
import uuid

from ledger import Known, Ledger, Op
from wire import Rpc, RpcError, fake_node

AT_ONCE = 8             # requests of a writer that are on their way
GONE = (OSError, EOFError, http.client.HTTPException)


class Http:
    """one connection that is kept"""

    def __init__(self, port, timeout=20):
        self.c = http.client.HTTPConnection('127.0.0.1', port, timeout=timeout)

    def get(self, target, method='GET', body=None):
        self.c.request(method, target, body)
        r = self.c.getresponse()
        body = r.read()
        return r.status, {k.lower(): v for k, v in r.getheaders()}, body

    def json(self, target):
        status, headers, body = self.get(target)
        return status, headers, json.loads(body) if status == 200 else body.decode()

    def close(self):
        self.c.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Load:
    """begin() starts the threads, end() waits until each has noticed that the server is gone, or that it is enough."""

    def __init__(self, server, writers=4, max_nodes=600, collect=False, seed=None):
        self.srv, self.ledger = server, Ledger()
        self.random = random.Random(seed)
        self.max_nodes, self.collect = max_nodes, collect
        self.own = [[] for _ in range(writers)]     # nodes of each writer
        self.marks = 0
        self.enough = threading.Event()
        self.threads = []
        self.failures = []
        self.snapshot = None                        # (what it must have, archive), the last one
        self.n_snapshots = 0
        self.longest = 0.0                          # of a read, in seconds
        self.beats = 0
        self.ended_early = 0

    # --- writers ---

    def mark(self):
        self.marks += 1
        return f'm{self.marks}'

    def new_node(self, own):
        n = Known(str(uuid.uuid4()), str(uuid.uuid4()))
        self.ledger.add(n)
        own.append(n)
        return n

    def register(self, n):
        op = Op('register', [n], mark=self.mark())
        node = fake_node(n.id, n.secret, Name=op.mark, Attributes={'kernel.name': 'linux', 'mark': op.mark})
        return op, 'Node.Register', {'Node': node, 'Region': 'global'}

    def change_status(self, n):
        status = self.random.choice([s for s in ('ready', 'ready', 'initializing', 'down') if s != n.state.status])
        body = {'NodeID': n.id, 'Status': status, 'Region': 'global', 'AuthToken': n.secret}
        op = Op('status', [n], status=status)
        if self.random.random() < 0.2:
            op.mark = self.mark()
            body['NodeEvent'] = {'Message': op.mark, 'Subsystem': 'Test', 'CreateIndex': 0}
        return op, 'Node.UpdateStatus', body

    def emit(self, nodes):
        op = Op('emit', nodes, mark=self.mark())
        event = {'Message': op.mark, 'Subsystem': 'Test', 'CreateIndex': 0}
        return op, 'Node.EmitEvents', {'NodeEvents': {n.id: [event] for n in nodes}, 'Region': 'global'}

    def beat(self, n):
        return None, 'Node.UpdateStatus', {'NodeID': n.id, 'Status': n.state.status, 'Region': 'global', 'AuthToken': n.secret}

    def requests(self, own):
        """some writes of nodes that have none on the way"""
        if self.collect:        # what is down may be collected at any moment: nobody writes it again
            own[:] = [n for n in own if not n.state or n.state.status != 'down']
        if len(own) < AT_ONCE or len(own) < self.max_nodes // len(self.own) and self.random.random() < 0.3:
            self.new_node(own)
        idle = self.random.sample(own, min(len(own), 2 * AT_ONCE))
        out = []
        while idle and len(out) < AT_ONCE:
            n = idle.pop()
            dice = self.random.random()
            if not n.state or dice < 0.35:
                out.append(self.register(n))
            elif dice < 0.65:
                out.append(self.change_status(n))
            elif dice < 0.9:
                more = [m for m in idle[:2] if m.state]
                out.append(self.emit([n, *more]))
                idle = [m for m in idle if m not in more]
            else:
                out.append(self.beat(n))
        return out

    def writer(self, r, own):
        while not self.enough.is_set():
            sent = self.requests(own)
            for op, _, _ in sent:
                if op:
                    self.ledger.begin(op)
            unanswered = {i for i, s in enumerate(sent) if s[0]}
            try:
                for i, reply in r.call_all([s[1:] for s in sent]):
                    unanswered.discard(i)
                    self.took(sent[i][0], reply)
            finally:
                with self.ledger.lock:
                    self.ledger.unanswered += len(unanswered)
            if any(op and op.refused for op, _, _ in sent):
                time.sleep(0.05)

    def took(self, op, reply):
        if op is None:
            self.beats += 1
            if isinstance(reply, RpcError):
                self.ledger.check(self.collect and 'not found' in str(reply), 'a beat was refused:', reply)
            else:
                self.ledger.check(reply['HeartbeatTTL'] > 0 or reply['Index'] == 0, 'a beat without TTL')
        elif isinstance(reply, RpcError):
            self.ledger.refuse(op, str(reply))
        else:
            self.ledger.check(reply['Index'] > 0, 'a write without an index:', op.kind)
            self.ledger.done(op, reply['Index'])

    # --- readers ---

    def timed(self, call, *args):
        start = time.monotonic()
        out = call(*args)
        self.longest = max(self.longest, time.monotonic() - start)
        return out

    def some_node(self):
        nodes = list(self.ledger.nodes.values())
        known = [n for n in self.random.sample(nodes, min(8, len(nodes))) if n.state and n.state.status != 'down']
        return known[0] if known else None

    def list_reader(self, c):
        index = 0
        while not self.enough.is_set():
            before = max(self.ledger.highest_of_tables(), index)
            status, headers, stubs = c.json(f'/v1/nodes?index={index}&wait=1s')
            self.ledger.check(status == 200, 'a list:', status, stubs)
            index = int(headers['x-nomad-index'])
            self.ledger.saw_list(before, index, stubs)
            time.sleep(0.02)

    def node_reader(self, c):
        while not self.enough.is_set():
            n = self.some_node()
            if not n:
                time.sleep(0.01)
                continue
            modify, wait = n.state.modify, self.random.choice((0, n.state.modify))
            status, headers, node = c.json(f'/v1/node/{n.id}?index={wait}&wait=300ms')
            if status == 200:
                self.ledger.saw_node(modify, int(headers['x-nomad-index']), node)
            else:
                self.ledger.check(self.collect and status == 404, 'a node:', status, node)

    def rpc_reader(self, r):
        index = 0
        while not self.enough.is_set():
            before = max(self.ledger.highest_of_tables(), index)
            reply = r.call('Node.List', {'MinQueryIndex': index, 'MaxQueryTime': 500000000, 'Region': 'global'})
            index = reply['Index']
            self.ledger.saw_list(before, index, reply['Nodes'] or [])
            n = self.some_node()
            if n:
                modify = n.state.modify
                reply = r.call('Node.GetNode', {'NodeID': n.id, 'MinQueryIndex': modify, 'MaxQueryTime': 100000000,
                                                'Region': 'global'})
                if reply['Node']:
                    self.ledger.saw_node(modify, reply['Index'], reply['Node'])
            time.sleep(0.1)

    def other_reader(self, c):
        while not self.enough.is_set():
            before = self.ledger.highest_of_tables()
            status, headers, _ = self.timed(c.get, f'/v1/node/{uuid.uuid4()}')
            self.ledger.check(status == 404, 'no node:', status)
            self.ledger.saw_index(before, int(headers['x-nomad-index']))
            before = self.ledger.highest_of_tables()
            _, headers, body = self.timed(c.get, f'/v1/nodes?prefix={self.random.randrange(16):x}0')
            self.ledger.saw_index(before, int(headers['x-nomad-index']))
            for path in ('/v1/agent/members', '/v1/status/leader', '/v1/agent/health?type=server'):
                status, _, body = self.timed(c.get, path)
                self.ledger.check(status == 200, path, status, body)
            time.sleep(0.05)

    def operator(self, c):
        while not self.enough.is_set():
            time.sleep(0.2)
            low = self.ledger.highest_of_tables()
            status, _, body = c.get('/v1/operator/snapshot')
            if status == 200:
                self.snapshot = low, body
                self.n_snapshots += 1
            if self.collect:
                self.ledger.gc_asked = True
                c.get('/v1/system/gc', 'PUT')

    # --- all of it ---

    def rpc(self):
        return Rpc(self.srv.rpc, timeout=60)

    def http(self):
        return Http(self.srv.http)

    def run(self, connect, what, *args):
        try:
            with connect() as c:
                what(c, *args)
        except GONE:
            self.ended_early += not self.enough.is_set()
        except Exception as e:  # a bug of the test is a failure of the test
            self.failures.append(f'{what.__name__}: {e!r}')

    def begin(self, readers=True):
        self.enough.clear()
        jobs = [(self.rpc, self.writer, own) for own in self.own]
        if readers:
            jobs += [(self.http, what) for what in (self.list_reader, self.list_reader, self.node_reader, self.node_reader,
                                                    self.other_reader, self.operator)] + [(self.rpc, self.rpc_reader)]
        self.threads = [threading.Thread(target=self.run, args=j, daemon=True) for j in jobs]
        for t in self.threads:
            t.start()

    def end(self, seconds=90):
        self.enough.set()
        for t in self.threads:
            t.join(seconds)
            if t.is_alive():
                self.failures.append('a thread still waits for the server')
        self.threads = []

    def verify(self, everything=False):
        with self.http() as c:
            index = self.ledger.verify(c.json, everything)
        problems = self.failures + self.ledger.problems
        if problems:
            raise AssertionError('\n'.join(problems))
        return index

    def verify_snapshot(self, empty):
        """the last snapshot, restored on an empty server, is the state of one moment while it was taken"""
        low, archive = self.snapshot
        with Http(empty.http) as c:
            status, _, body = c.get('/v1/operator/snapshot', 'PUT', archive)
            self.ledger.check(status == 200, 'restoring:', status, body)
            self.ledger.saw_snapshot(low, c.json('/v1/nodes')[2])

    def told(self):
        g = self.ledger
        return (f'{g.answered} writes answered, {g.unanswered} not ({g.turned_up} of them were there), {g.refused} refused, '
                f'{g.lists} lists and {g.reads} reads checked, index {g.highest}')
