"""kill -9 of picketd a hundred times at random moments: what it remembers is whole, and nothing happens twice."""
import datetime
import json
import os
import random
import signal
import struct
import threading
import time
import uuid

from programs import ProgramCase, get_json, http_get
from standin import StandIn
from wire import pack, unpack, wait_until

KILLS = 100
FACTS = ('picket-registered.mp', 'picket-identity.mp', 'picket-allocs.mp', 'picket-events.mp', 'picket-meta.mp')
FORMAT = 2


def go_time(seconds):
    """Go's binary time of so many seconds ago, as Nomad's codec carries it"""
    unix = time.time() - seconds
    year_1 = int(unix) + (datetime.datetime(1970, 1, 1) - datetime.datetime(1, 1, 1)).days * 86400
    return b'\x01' + struct.pack('>qih', year_1, int(unix % 1 * 1e9), -1)


class Cluster(StandIn):
    """A server with a memory: node events as Nomad keeps them, allocations that block, verdicts that are counted.  Now and
    then it does what it is told and loses the answer, or the agent is killed right there."""

    def __init__(self):
        self.node, self.kept = None, []
        self.allocs = {}      # id: [status, modify index]
        self.verdicts = {}    # id: how often it was called failed
        self.waiting = []     # blocking GetClientAllocs
        self.on_emit = None   # called in the middle of an EmitEvents
        self.identities = set()
        super().__init__(ttl=5.0)

    def _call(self, head, body, send):
        if head['ServiceMethod'] == 'Node.GetClientAllocs' and body['MinQueryIndex'] >= self.index:
            with self.lock:
                self.waiting.append((head, body, send))
            return
        super()._call(head, body, send)

    def wake(self):
        with self.lock:
            waiting, self.waiting = self.waiting, []
        for head, body, send in waiting:
            try:
                super()._call(head, body, send)
            except OSError:
                pass

    def place(self, alloc_id):
        with self.lock:
            self.index += 1
            self.allocs[alloc_id] = ['pending', self.index]
        self.wake()

    def answer(self, method, body):
        if method == 'Node.Register':
            self.identities.add((body['Node']['ID'], body['Node']['SecretID']))
            self.node = dict(body['Node'], SecretID='')
            return super().answer(method, body)
        if method == 'Node.GetNode':
            if body['MinQueryIndex']:
                return None  # the mirror's
            return {'Node': dict(self.node, Events=list(self.kept)), 'Index': self.index, 'KnownLeader': True}
        if method == 'Node.EmitEvents':
            super().answer(method, body)
            for events in body['NodeEvents'].values():
                self.kept = (self.kept + events)[-10:]
            how = self.on_emit() if self.on_emit else None
            return None if how == 'lost' else {'Index': self.index}
        if method == 'Node.GetClientAllocs':
            return {'Allocs': {i: a[1] for i, a in sorted(self.allocs.items())}, 'Index': self.index, 'KnownLeader': True}
        if method == 'Alloc.GetAllocs':
            job = {'ID': 'job', 'TaskGroups': [{'Name': 'g', 'Tasks': [{'Name': 'web', 'Driver': 'raw_exec'}]}]}
            return {'Index': self.index, 'KnownLeader': True,
                    'Allocs': [{'ID': i, 'TaskGroup': 'g', 'DesiredStatus': 'run', 'ClientStatus': self.allocs[i][0],
                                'AllocModifyIndex': self.allocs[i][1], 'Job': job}
                               for i in body['AllocIDs'] if i in self.allocs]}
        if method == 'Node.UpdateAlloc':
            self.index += 1
            for a in body['Alloc']:
                self.allocs[a['ID']][0] = a['ClientStatus']
                self.verdicts[a['ID']] = self.verdicts.get(a['ID'], 0) + 1
            return {'Index': self.index}
        return super().answer(method, body)


class Killed(ProgramCase):
    def setUp(self):
        self.random = random.Random(20261122)
        self.cluster = Cluster()
        self.addCleanup(self.cluster.close)
        self.volumes = [os.path.join(self.tmpdir(), 'v') for _ in range(4)]
        self.agt = self.agent([self.cluster])
        self.configure(1000)
        self.state = os.path.join(self.agt.data, 'client')
        self.journaled = []

    def configure(self, memory_mb):
        self.agt.settings = '', f'memory_total_mb = {memory_mb}\n' + '\n'.join(
            f'host_volume "v{i}" {{ path = "{p}" }}' for i, p in enumerate(self.volumes))
        self.agt.configure()

    def fact(self, name):
        """a file of the state folder, whole, or None"""
        try:
            with open(os.path.join(self.state, name), 'rb') as f:
                raw = f.read()
        except FileNotFoundError:
            return None
        v, at = unpack(raw)
        self.assertEqual(at, len(raw), f'{name}: more than one object')
        self.assertEqual(v['Version'], FORMAT, name)
        self.assertEqual(v['NodeID'], self.agt.node_id(), name)
        return v

    def look_at_all_files(self):
        for name in os.listdir(self.state):
            self.assertNotIn('.damaged', name)
            if name in ('client-id', 'secret-id'):
                with open(os.path.join(self.state, name), encoding='ascii') as f:
                    self.assertEqual(len(f.read()), 36, name)
        for name in FACTS:
            self.fact(name)

    def add_events(self, n):
        """what the agent would have left when it was killed a while ago: due at once"""
        v = self.fact('picket-events.mp') or {'NodeID': self.agt.node_id(), 'Version': FORMAT, 'Events': []}
        v['Events'] = v['Events'] or []  # few enough that those of the agent never push one out
        for _ in range(min(n, 5 - len(v['Events']))):
            name = f'event {len(self.journaled)}'
            self.journaled.append(name)
            v['Events'].append({'CreateIndex': 0, 'Details': {'n': name}, 'Message': name, 'Subsystem': 'Test',
                                'Timestamp': go_time(100)})
        path = os.path.join(self.state, 'picket-events.mp')
        with open(path, 'wb') as f:
            f.write(pack(v))
        os.chmod(path, 0o600)

    def kill(self):
        self.agt.proc.send_signal(signal.SIGKILL)

    def toggle_volumes(self):
        """folders that come and go, and a reload"""
        for p in self.random.sample(self.volumes, 2):
            if os.path.isdir(p):
                os.rmdir(p)
            else:
                os.mkdir(p)
        if self.agt.proc.poll() is None:
            self.agt.proc.send_signal(signal.SIGHUP)

    def event_of_its_own(self):
        def volumes_known():
            probes = get_json(self.agt.http, '/v1/agent/fingerprint')['Probes']
            return len([p for p in probes if p['Name'].startswith('volumes:') and p['State'] == 'good']) == len(self.volumes)

        def own_events():
            left = (self.fact('picket-events.mp') or {}).get('Events') or []
            return {repr(e['Timestamp']) for e in left + self.cluster.events if e['Subsystem'] == 'Storage'}

        wait_until('volumes known', volumes_known, 30)
        before = own_events()
        self.configure(self.random.randint(1000, 9000))  # a reload that changes something looks at all anew
        self.toggle_volumes()
        wait_until('event of its own', lambda: own_events() - before, 30)

    def apply(self, n):
        """metadata that was acknowledged, or None"""
        try:
            status, _, _ = http_get(self.agt.http, '/v1/client/metadata', 'POST',
                                    json.dumps({'Meta': {'n': str(n), 'gone': None}}), timeout=2)
        except (OSError, ValueError):
            return None
        except Exception:  # http.client's own, when the agent is gone in the middle
            return None
        self.assertEqual(status, 200)
        return n

    def one_life(self, n, acked):
        """starts it, lets it do something, kills it; returns the newest number that was acknowledged"""
        kind = self.random.choice(('early', 'any', 'emit', 'answered', 'answered', 'lost', 'meta'))
        if n % 20 == 5:
            kind = 'own'
        dead = threading.Event()

        def in_the_middle():
            if kind == 'lost':
                return 'lost'
            self.kill()
            dead.set()
            return 'lost' if kind == 'emit' else None

        self.cluster.on_emit = in_the_middle if kind in ('emit', 'answered', 'lost') else None
        registered = len(self.cluster.registered)
        self.agt.start()
        if kind == 'early':
            time.sleep(self.random.uniform(0, 0.08))
        elif kind in ('emit', 'answered') and self.journaled:
            dead.wait(1.5)
        elif kind == 'own':
            wait_until('registered', lambda: len(self.cluster.registered) > registered, 30)
            self.event_of_its_own()
        elif kind == 'meta':
            deadline = time.monotonic() + 1
            while time.monotonic() < deadline and acked[-1] != n:
                got = self.apply(n)
                if got is not None:
                    acked.append(got)
            if self.random.random() < 0.5:  # and another one, that may be cut off anywhere
                threading.Thread(target=self.apply, args=(n,), daemon=True).start()
                time.sleep(self.random.uniform(0, 0.01))
        else:
            time.sleep(self.random.uniform(0.05, 0.3))
            self.toggle_volumes()
            time.sleep(self.random.uniform(0, 0.3))
        self.kill()
        self.agt.proc.wait()
        self.cluster.on_emit = None

    def test_killed_a_hundred_times(self):
        self.agt.start()
        wait_until('identity', lambda: len(self.agt.node_id()) == 36)
        wait_until('registered', lambda: self.cluster.registered)
        wait_until('remembered', lambda: self.fact('picket-registered.mp'))
        node_id = self.agt.node_id()
        self.kill()
        self.agt.proc.wait()
        acked, failed_once = [0], set()
        for n in range(1, KILLS + 1):
            self.add_events(self.random.randint(0, 2))
            if n % 10 == 0:
                self.cluster.place(str(uuid.uuid4()))
            self.one_life(n, acked)
            self.look_at_all_files()
            self.assertEqual(self.agt.node_id(), node_id)
            meta = self.fact('picket-meta.mp')
            if acked[-1]:
                self.assertGreaterEqual(int(meta['Meta']['n']), acked[-1])
            failed_once |= set(self.cluster.verdicts)
        self.agt.start().wait_api()
        wait_until('all events arrived', lambda: not self.fact('picket-events.mp')['Events'], 60)
        wait_until('all allocations failed', lambda: all(a[0] == 'failed' for a in self.cluster.allocs.values()), 30)
        arrived = [e['Message'] for e in self.cluster.events]
        self.assertEqual([m for m in arrived if m.startswith('event ')], self.journaled)
        stamps = [(e['Timestamp'], e['Subsystem'], e['Message']) for e in self.cluster.events]
        self.assertEqual(len(stamps), len(set(map(repr, stamps))), 'no event twice')
        self.assertGreater(len(arrived), len(self.journaled), 'some of its own among them')
        self.assertEqual(len(self.cluster.identities), 1, 'one node, one secret')
        self.assertEqual(get_json(self.agt.http, '/v1/client/metadata')['Dynamic']['n'], str(acked[-1]))
        self.assertEqual(set(self.cluster.verdicts.values()), {1}, 'no allocation failed twice')
        self.assertGreater(len(acked), 3)
        self.assertGreater(len(self.journaled), 15)
        self.assertEqual(self.agt.stop(), 0)


class NewerState(ProgramCase):
    def test_state_of_a_newer_release_is_refused_and_left_alone(self):
        agt = self.agent([1]).start().wait_api()
        self.assertEqual(agt.stop(), 0)
        path = os.path.join(agt.data, 'client', 'picket-events.mp')
        raw = pack({'NodeID': agt.node_id(), 'Version': FORMAT + 1, 'Events': 'of another kind by then'})
        with open(path, 'wb') as f:
            f.write(raw)
        agt.start()
        self.assertNotEqual(agt.exit_status(), 0)
        self.assertIn(path, agt.log())
        self.assertIn(f'format {FORMAT + 1}', agt.log())
        self.assertIn(f'up to {FORMAT}', agt.log())
        with open(path, 'rb') as f:
            self.assertEqual(f.read(), raw)
