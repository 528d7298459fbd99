"""What was answered is never lost: the server is killed 20 times while nodes register."""
import threading
import time
import uuid

from programs import ProgramCase, get_json, http_get
from wire import Rpc, RpcError, beat, fake_node, register, wait_until

KILLS = 20


class KillNine(ProgramCase):
    def setUp(self):
        self.srv = self.server().start().wait()
        self.answered = {}          # node id -> index of the last answered write
        self.lock = threading.Lock()
        self.stop = threading.Event()

    def writer(self):
        """registers new nodes and makes them ready, for ever, over whatever connection it gets"""
        while not self.stop.is_set():
            try:
                with Rpc(self.srv.rpc, timeout=5) as r:
                    while not self.stop.is_set():
                        n = fake_node(str(uuid.uuid4()), str(uuid.uuid4()))
                        first = register(r, n)['Index']
                        second = beat(r, n)['Index']
                        assert second > first, (first, second)
                        with self.lock:
                            self.answered[n['ID']] = second
            except (OSError, EOFError):
                time.sleep(0.02)

    def test_nothing_answered_is_lost_and_the_index_never_goes_back(self):
        agt = self.agent([self.srv]).start().wait_api()
        node_id = agt.node_id()
        self.ready(self.srv, node_id)
        threads = [threading.Thread(target=self.writer, daemon=True) for _ in range(3)]
        for t in threads:
            t.start()
        self.addCleanup(self.stop.set)
        highest = 0
        for n in range(KILLS):
            goal = len(self.answered) + 20
            wait_until('writers go on', lambda goal=goal: len(self.answered) >= goal, 30)
            self.srv.kill()
            with self.lock:
                done = dict(self.answered)
            self.srv.start().wait()
            nodes = {x['ID']: x for x in self.srv.nodes()}
            lost = [i for i in done if i not in nodes]
            self.assertEqual(lost, [], f'kill {n}')
            stale = [i for i, index in done.items() if nodes[i]['ModifyIndex'] < index or nodes[i]['Status'] != 'ready']
            self.assertEqual(stale, [], f'kill {n}')
            index = int(http_get(self.srv.http, '/v1/nodes')[1]['x-nomad-index'])
            self.assertGreaterEqual(index, max(done.values()))
            self.assertGreaterEqual(index, highest)
            highest = index
            indexes = [x['ModifyIndex'] for x in nodes.values()]
            self.assertEqual(len(indexes), len(set(indexes)), 'no index was used twice')
        self.stop.set()
        for t in threads:
            t.join(10)
        back = self.ready(self.srv, node_id, 60)
        self.assertEqual(back['Events'][0]['Message'], 'Node registered')
        wait_until('agent reaches the server', lambda: get_json(agt.http, '/v1/agent/health')['client']['ok'], 60)

    def test_agent_killed_at_any_moment_keeps_its_identity(self):
        agt = self.agent([self.srv]).start()
        ids = set()
        for n in range(10):
            time.sleep(0.01 * n)
            agt.kill()
            agt.start()
            agt.wait_api()
            ids.add(agt.node_id())
        self.assertEqual(len(ids), 1)
        self.ready(self.srv, ids.pop(), 60)
        self.assertEqual(len(self.srv.nodes()), 1)

    def test_a_refused_write_leaves_nothing(self):
        with Rpc(self.srv.rpc) as r:
            n = fake_node(str(uuid.uuid4()), 'not-a-uuid')
            with self.assertRaises(RpcError):
                register(r, n)
        self.assertEqual(self.srv.nodes(), [])
