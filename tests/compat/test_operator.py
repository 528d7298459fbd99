"""The real command's operator side at picket-server: snapshots while it runs, the collection of garbage."""
import os
import re
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from nomad import NOMAD, RealClient, RealServer, command, version     # noqa: E402
from programs import ProgramCase                                        # noqa: E402
from wire import wait_until                                             # noqa: E402


def refused(*args, port):
    """what the command says when it fails"""
    env = {**os.environ, 'NOMAD_ADDR': f'http://127.0.0.1:{port}', 'NOMAD_CLI_NO_COLOR': '1'}
    r = subprocess.run([NOMAD, *args], capture_output=True, text=True, env=env, timeout=60, check=False)
    if r.returncode == 0:
        raise AssertionError(f'nomad {" ".join(args)} went well:\n{r.stdout}')
    return r.stdout + r.stderr


class Operator(ProgramCase):
    def setUp(self):
        self.server_ = self.server(server='min_heartbeat_ttl = "2s" heartbeat_grace = "1s"').start().wait()
        self.file = os.path.join(self.tmpdir(), 'fleet.snap')

    def client(self):
        c = RealClient(self.server_)
        self.addCleanup(c.cleanup)
        c.start()
        wait_until('client is ready', lambda: [n for n in self.server_.nodes() if n['Status'] == 'ready'], 90)
        return c

    def test_snapshot_of_a_running_server(self):
        srv = self.server_
        client = self.client()
        node_id = client.node_id()
        command('operator', 'snapshot', 'save', self.file, port=srv.http)
        shown = command('operator', 'snapshot', 'inspect', self.file, port=srv.http)
        index = int(re.search(r'Index\s+(\d+)', shown).group(1))
        self.assertGreaterEqual(index, srv.node(node_id)['CreateIndex'])
        client.stop()
        wait_until('client is down', lambda: srv.node(node_id)['Status'] == 'down', 60)
        before = srv.node(node_id)
        command('operator', 'snapshot', 'restore', self.file, port=srv.http)
        after = srv.node(node_id)
        self.assertEqual((after['Status'], after['CreateIndex']), ('ready', before['CreateIndex']))
        print(f'# RESULT nomad {version()}: operator snapshot save, inspect, restore at picket-server', flush=True)

    def test_neither_takes_the_others_snapshot(self):
        real = RealServer()
        self.addCleanup(real.cleanup)
        real.start().wait()
        self.client()
        nodes = self.server_.nodes()
        command('operator', 'snapshot', 'save', self.file, port=self.server_.http)
        refused('operator', 'snapshot', 'restore', self.file, port=real.http)
        os.unlink(self.file)
        command('operator', 'snapshot', 'save', self.file, port=real.http)
        self.assertIn('Nomad', refused('operator', 'snapshot', 'restore', self.file, port=self.server_.http))
        self.assertEqual([n['ID'] for n in self.server_.nodes()], [n['ID'] for n in nodes])
        self.assertTrue(real.node and real.nodes() == [])

    def test_collection_of_garbage(self):
        srv = self.server_
        client = self.client()
        client.stop()
        node_id = client.node_id()
        wait_until('client is down', lambda: srv.node(node_id)['Status'] == 'down', 60)
        command('system', 'gc', port=srv.http)
        wait_until('it is forgotten', lambda: srv.nodes() == [], 30)
        command('system', 'reconcile', 'summaries', port=srv.http)


if __name__ == '__main__':
    unittest.main()
