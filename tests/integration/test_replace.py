"""picketd is replaced under a running registration: no missed beat, the node stays ready, its port is free again at once."""
import os
import shutil
import signal
import threading
import time

from programs import BIN, get_json, http_get
from stress import StressCase
from wire import wait_until

class Replace(StressCase):
    def setUp(self):
        self.srv, self.tap = self.tapped()
        self.agt = self.agent([self.tap])
        self.agt.bin = self.tmpdir()
        os.chmod(self.agt.bin, 0o755)
        for name in ('picketd', 'picket-probe'):
            shutil.copy(os.path.join(BIN, name), self.agt.bin)
        self.agt.start().wait_api()
        self.node_id = self.agt.node_id()
        self.ready(self.srv, self.node_id)
        self.settled()
        self.seen, self.watching = [], True
        self.watcher = threading.Thread(target=self.watch, daemon=True)
        self.watcher.start()

    def tearDown(self):
        self.watching = False

    def settled(self):
        """what slow probes add to the node has been sent"""
        def quiet():
            before = self.srv.node(self.node_id)['ModifyIndex']
            time.sleep(2)
            return self.srv.node(self.node_id)['ModifyIndex'] == before
        wait_until('node as it will be', quiet, 60)

    def watch(self):
        """every state of the list of nodes that the server goes through"""
        index = 1
        while self.watching:
            try:
                _, headers, _ = http_get(self.srv.http, f'/v1/nodes?index={index}&wait=2s', timeout=20)
                index = int(headers['x-nomad-index'])
                self.seen += [(n['ID'], n['Status']) for n in self.srv.nodes()]
            except (OSError, KeyError, ValueError):
                time.sleep(0.05)

    def new_binary(self):
        """as a package manager does: another file under the same name, while the old one runs"""
        path = os.path.join(self.agt.bin, 'picketd')
        shutil.copy(os.path.join(BIN, 'picketd'), path + '.new')
        os.rename(path + '.new', path)

    def replaced(self, end, times=3):
        before = self.srv.node(self.node_id)
        registered = self.tap.registrations
        for _ in range(times):
            self.new_binary()
            end()
            self.agt.start()
            self.agt.wait_api()  # on the same port, or it would have ended
            self.beats_go_on(self.tap.beats, 2)
        after = self.srv.node(self.node_id)
        self.assertEqual(after['Status'], 'ready')
        self.assertEqual(after['CreateIndex'], before['CreateIndex'])
        self.assertEqual(self.agt.node_id(), self.node_id)
        texts = [e['Message'] for e in after['Events']]
        self.assertNotIn('Node heartbeat missed', texts)
        self.assertEqual({s for s in self.seen}, {(self.node_id, 'ready')})
        self.in_time(self.tap.beats)
        self.assertEqual(len(self.srv.nodes()), 1)
        return after, self.tap.registrations - registered

    def test_ordered_stop_and_start(self):
        def stop():
            self.assertEqual(self.agt.stop(), 0)
        _, n = self.replaced(stop)
        # one for each process, one more when slow probes answer later than the fast ones
        self.assertIn(n, range(3, 7))

    def test_killed_and_started(self):
        _, n = self.replaced(self.agt.kill)
        self.assertIn(n, range(3, 7))

    def test_api_is_there_again_at_once_and_knows_its_node(self):
        self.new_binary()
        self.agt.stop(signal.SIGTERM)
        start = time.monotonic()
        self.agt.start().wait_api()
        took = time.monotonic() - start
        self.assertLess(took, 5)
        node = wait_until('own node', lambda: get_json(self.agt.http, '/v1/node/' + self.node_id))
        self.assertEqual(node['ID'], self.node_id)
