"""The life of a server: started with many nodes, stopped and started again, refused where it must be."""
import os
import sqlite3
import time
import unittest
import uuid

from programs import ProgramCase, get_json
from wire import Rpc, beat, fake_node, register, wait_until

NODES = int(os.environ.get('LIFECYCLE_NODES', '1000'))


class Lifecycle(ProgramCase):
    def test_many_stored_nodes_are_there_after_a_start(self):
        s = self.server().start().wait()
        with Rpc(s.rpc) as r:
            for _ in range(NODES):
                register(r, fake_node(str(uuid.uuid4()), str(uuid.uuid4())))
        self.assertEqual(s.stop(seconds=120), 0)
        begin = time.monotonic()
        s.start().wait()
        print(f'start with {NODES} nodes: {time.monotonic() - begin:.2f} s')
        self.assertIn(f'nodes={NODES}', s.log())
        self.assertEqual(len(get_json(s.http, '/v1/nodes', timeout=60)), NODES)

    def test_agents_stay_ready_across_restarts(self):
        s = self.server(server='min_heartbeat_ttl = "1s" heartbeat_grace = "1s"').start().wait()
        agents = [self.agent([s]).start() for _ in range(2)]
        wait_until('agents are ready', lambda: [n['Status'] for n in s.nodes()] == ['ready'] * 2, seconds=60)
        with Rpc(s.rpc) as r:  # one that never beats again: only the grace of a start keeps it
            silent = fake_node(str(uuid.uuid4()), str(uuid.uuid4()))
            register(r, silent)
            beat(r, silent)
        for _ in range(5):
            self.assertEqual(s.stop(), 0)
            s.start().wait()
            self.assertEqual([n['Status'] for n in s.nodes()], ['ready'] * 3)
        time.sleep(5)  # longer than any deadline but that of a start (5 minutes)
        for n in s.nodes():
            self.assertEqual(n['Status'], 'ready')
            events = [e['Message'] for e in s.node(n['ID'])['Events']]
            self.assertNotIn('Node heartbeat missed', events)
        self.assertEqual(len({a.node_id() for a in agents} & {n['ID'] for n in s.nodes()}), 2)

    def test_grace_of_a_start_ends(self):
        s = self.server(server='min_heartbeat_ttl = "1s" heartbeat_grace = "1s" failover_heartbeat_ttl = "3s"').start().wait()
        silent, alive, down = (fake_node(str(uuid.uuid4()), str(uuid.uuid4())) for _ in range(3))
        with Rpc(s.rpc) as r:
            for n in (silent, alive, down):
                register(r, n)
                beat(r, n)
            beat(r, down, 'down')
        self.assertEqual(s.stop(), 0)
        begin = time.monotonic()
        s.start().wait()
        with Rpc(s.rpc) as r:
            def is_down():
                beat(r, alive)
                return s.node(silent['ID'])['Status'] == 'down'

            wait_until('the silent one is down', is_down)
        self.assertGreater(time.monotonic() - begin, 3)
        self.assertEqual(s.node(silent['ID'])['Events'][-1]['Message'], 'Node heartbeat missed')
        self.assertEqual(s.node(alive['ID'])['Status'], 'ready')
        self.assertNotIn('Node heartbeat missed', [e['Message'] for e in s.node(down['ID'])['Events']])

    def test_second_process_is_refused_by_the_holders_pid(self):
        s = self.server().start().wait()
        other = self.server()
        other.data = s.data
        other.configure()
        self.assertNotEqual(other.start().exit_status(), 0)
        self.assertIn(f'is in use by process {s.proc.pid}', other.log())

    def refused(self, s, text):
        with open(os.path.join(s.data, 'server', 'state.db'), 'rb') as f:
            before = f.read()
        self.assertNotEqual(s.start().exit_status(), 0)
        self.assertIn(text, s.log())
        with open(os.path.join(s.data, 'server', 'state.db'), 'rb') as f:
            self.assertEqual(f.read(), before)

    def stored(self):
        s = self.server().start().wait()
        with Rpc(s.rpc) as r:
            for _ in range(20):
                register(r, fake_node(str(uuid.uuid4()), str(uuid.uuid4())))
        self.assertEqual(s.stop(), 0)
        return s

    def test_newer_schema_is_refused(self):
        s = self.stored()
        db = sqlite3.connect(os.path.join(s.data, 'server', 'state.db'))
        db.execute("UPDATE meta SET value = 99 WHERE key = 'schema'")
        db.commit()
        db.execute('PRAGMA wal_checkpoint(TRUNCATE)')
        db.close()
        self.refused(s, 'was written by a newer picket-server (schema 99')

    def test_damaged_file_is_reported_and_left_alone(self):
        s = self.stored()
        path = os.path.join(s.data, 'server', 'state.db')
        size = os.path.getsize(path)
        with open(path, 'r+b') as f:
            f.seek(size // 2)
            f.write(os.urandom(8192))
        self.refused(s, 'is corrupt')


if __name__ == '__main__':
    unittest.main()
