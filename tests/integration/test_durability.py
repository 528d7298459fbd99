"""What was answered is never lost, with a real agent beside the load; test_kill_server.py has the rules in full."""
import time
import uuid

from load import Load
from programs import ProgramCase, get_json
from wire import Rpc, RpcError, fake_node, register, wait_until

KILLS = 8


class KillNine(ProgramCase):
    def setUp(self):
        self.srv = self.server().start().wait()

    def test_nothing_answered_is_lost_and_agents_find_their_way_back(self):
        agt = self.agent([self.srv]).start().wait_api()
        node_id = agt.node_id()
        self.ready(self.srv, node_id)
        load = Load(self.srv, writers=3)
        load.ledger.others.add(node_id)
        for _ in range(KILLS):
            answered = load.ledger.answered
            load.begin(readers=False)
            wait_until('writers go on', lambda a=answered: load.ledger.answered >= a + 40, 30)
            self.srv.kill()
            load.end()
            self.srv.start().wait()
            load.verify(everything=True)
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
