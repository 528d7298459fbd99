"""Both ways with a real Nomad: our agent on its server, its client and command on our server.

COMPAT_SECONDS (default 600) is how long nodes have to stay ready.  RESULT lines are for release notes.
"""
import os
import sys
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from nomad import RealClient, RealServer, command, load, version      # noqa: E402
from differences import node_differences, unexplained                 # noqa: E402
from programs import ProgramCase, get_json, http_get, run_cli          # noqa: E402
from wire import wait_until                                            # noqa: E402

SECONDS = int(os.environ.get('COMPAT_SECONDS', '600'))
# a real client says these about its host or itself, whatever server it talks to
HOST_COMPLAINTS = ('no plugins', 'plugin_dir', 'bridge kernel module', 'CNI', 'cni', 'docker', 'landlock', 'cgroup', 'cpu',
                   'mTLS is not configured', 'Consul', 'consul', 'fingerprint', 'podman', 'logmon', 'missed heartbeat')


def result(text):
    print(f'# RESULT nomad {version()}: {text}', flush=True)


class BothWays(ProgramCase):
    """real server + picketd, picket-server + real client, side by side"""

    @classmethod
    def setUpClass(cls):
        cls.case = case = cls('runTest')
        cls.real_server = RealServer()
        case.addCleanup(cls.real_server.cleanup)
        cls.real_server.start().wait()
        cls.server = case.server().start().wait()
        t = time.monotonic()
        cls.agent = case.agent([cls.real_server], client='options { "driver.raw_exec.enable" = "1" }').start()
        cls.agent.wait_api()
        cls.agent_id = cls.agent.node_id()
        case.ready(cls.real_server, cls.agent_id, 60)
        result(f'picketd ready at a real server {time.monotonic() - t:.2f} s after its start (polled each 50 ms)')
        t = time.monotonic()
        cls.client = RealClient(cls.server)
        case.addCleanup(cls.client.cleanup)
        cls.client.start()
        cls.client_id = cls.client.node_id()
        case.ready(cls.server, cls.client_id, 90)
        result(f'real client ready at picket-server {time.monotonic() - t:.2f} s after its start')

    @classmethod
    def tearDownClass(cls):
        cls.case.doCleanups()

    def runTest(self):
        pass

    def test_1_nodes_stay_ready(self):
        end, polls = time.monotonic() + SECONDS, 0
        while time.monotonic() < end:
            for server, node_id in ((self.real_server, self.agent_id), (self.server, self.client_id)):
                n = server.node(node_id)
                self.assertEqual(n['Status'], 'ready', n['Events'])
            polls += 1
            time.sleep(min(2, max(0, end - time.monotonic())))
        for server, node_id in ((self.real_server, self.agent_id), (self.server, self.client_id)):
            self.assertEqual([e['Message'] for e in server.node(node_id)['Events'] if e['Subsystem'] == 'Cluster'],
                             ['Node registered'])
        result(f'both nodes ready at each of {polls} polls in {SECONDS} s, no heartbeat missed')

    def test_2_command_reads_picket_server_and_agent(self):
        port = self.server.http
        out = command('node', 'status', port=port)
        self.assertIn(self.client_id[:8], out)
        self.assertIn('ready', out)
        self.assertEqual(load(command('node', 'status', '-json', port=port))[0]['ID'], self.client_id)
        one = command('node', 'status', '-verbose', self.client_id[:8], port=port)
        for text in (self.client_id, 'raw_exec', 'kernel.name', 'Node registered'):
            self.assertIn(text, one)
        self.assertEqual(load(command('node', 'status', '-json', self.client_id, port=port))['ID'], self.client_id)
        self.assertIn('alive', command('server', 'members', port=port))
        # the agent's own API, as the command's -self reads it
        out = command('node', 'status', '-self', port=self.agent.http)
        self.assertIn(self.agent_id[:8], out)
        result('nomad node status (list, -json, single, -verbose, -self on picketd) and server members read Picket')

    def test_3_command_reads_picketd_on_the_real_server(self):
        port = self.real_server.http
        self.assertIn(self.agent_id[:8], command('node', 'status', port=port))
        out = command('node', 'status', '-verbose', self.agent_id, port=port)
        for text in (self.agent_id, 'raw_exec', 'kernel.name', 'Node registered'):
            self.assertIn(text, out)
        self.assertEqual(load(command('node', 'status', '-json', self.agent_id, port=port))['ID'], self.agent_id)
        code, out, err = run_cli('node', 'status', '-verbose', self.agent_id[:8], port=port)
        self.assertEqual(code, 0, err)
        self.assertIn(self.agent_id, out)
        result('nomad and picket node status read picketd on a real server')

    def test_4_the_agent_is_not_given_work(self):
        n = self.real_server.node(self.agent_id)
        self.assertEqual(n['SchedulingEligibility'], 'ineligible')
        self.assertEqual(n['Attributes']['nomad.service_discovery'], 'false')

    def test_5_logs_are_clean(self):
        noise = [c for c in self.client.complaints() if not any(h in c for h in HOST_COMPLAINTS)]
        self.assertEqual(noise, [])
        text = self.agent.log()
        self.assertNotIn('[ERROR]', text)
        # what the server may ask an agent and picketd does not answer yet is listed in docs/compat.md
        expected = ('ClientStats.Stats', 'without introduction token')
        server = [c for c in self.real_server.complaints()
                  if self.agent_id in c and not any(x in c for x in expected)]
        self.assertEqual(server, [])
        result('no error in the logs of picketd and of the real client')

    def test_6_every_difference_of_the_two_nodes_is_explained(self):
        """a picketd and a real client of one host, both on picket-server"""
        agt = self.agent_on_ours()
        ours = wait_until('all probes', lambda: self.server.node(agt)['Drivers'].get('docker') and self.server.node(agt))
        real = self.server.node(self.client_id)
        diff = node_differences(ours, real)
        self.assertGreater(len(diff), 0)
        for d in diff:
            print('# DIFF', *d, sep=' | ')
        self.assertEqual(unexplained(diff), [])
        result(f'{len(diff)} differing leaves of the two nodes, each explained in docs/compat.md')

    def agent_on_ours(self):
        a = self.agent_for(self.server)
        self.ready(self.server, a.node_id())
        return a.node_id()

    def agent_for(self, server):
        from programs import Agent
        a = Agent([server], client='options { "driver.raw_exec.enable" = "1" }')
        self.addCleanup(a.cleanup)
        a.start().wait_api()
        return a

    def test_7_headers_and_codes_are_the_real_ones(self):
        for target in ('/v1/nodes', '/v1/node/99999999-0000-0000-0000-000000000001', '/v1/node/nope', '/v1/nodes?prefix=abc',
                       '/v1/nodes?index=-1', '/v1/nodes?wait=5&index=1', '/v1/nodes?region=mars', '/v1/nope', '/v1/nodes/',
                       '/v1/regions', '/v1/node/nope/allocations'):
            with self.subTest(target):
                ours, theirs = http_get(self.server.http, target), http_get(self.real_server.http, target)
                self.assertEqual(ours[0], theirs[0])
                if ours[0] >= 400:
                    self.assertEqual(ours[2], theirs[2])
                mine = {k for k in ours[1] if k.startswith('x-nomad')}
                self.assertEqual(mine, {k for k in theirs[1] if k.startswith('x-nomad')})

    def test_8_server_restarts_are_survived(self):
        """events carry "missed" only when the grace ran out, which a restart must not cause"""
        for server, node_id in ((self.real_server, self.agent_id), (self.server, self.client_id)):
            server.stop()
            time.sleep(2)
            server.start().wait()
            self.ready(server, node_id, 120)
            n = server.node(node_id)
            self.assertNotIn('Node heartbeat missed', [e['Message'] for e in n['Events']])
        wait_until('picketd beats again', lambda: get_json(self.agent.http, '/v1/agent/health')['client']['ok'], 60)
        # a beat after the restart: the real server grants 300 s, so ask the agents themselves
        wait_until('real client beats again', lambda: get_json(self.client.http, '/v1/agent/health')['client']['ok'], 60)
        result('a restart of the real server and of picket-server: both nodes stay ready, no heartbeat missed')


if __name__ == '__main__':
    unittest.main()
