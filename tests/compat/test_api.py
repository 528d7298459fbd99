"""What a real command asks of a picketd, of a picket-server, and of a real server about a picketd that joined it."""
import json
import os
import signal
import subprocess
import sys
import threading
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from nomad import NOMAD, RealClient, RealServer, command, version     # noqa: E402
from programs import ProgramCase, get_json, http_get, run_cli           # noqa: E402
from wire import wait_until                                             # noqa: E402

AT_LEAST_1_5 = tuple(int(x) for x in version().split('.')[:2]) >= (1, 5)
HAS_META_COMMAND = tuple(int(x) for x in version().split('.')[:2]) >= (1, 5)


def result(text):
    print(f'# RESULT nomad {version()}: {text}', flush=True)


class Api(ProgramCase):
    @classmethod
    def setUpClass(cls):
        cls.case = case = cls('runTest')
        cls.real_server = RealServer()
        case.addCleanup(cls.real_server.cleanup)
        cls.real_server.start().wait()
        cls.server = case.server().start().wait()
        cls.agent = case.agent([cls.real_server]).start()
        cls.agent.wait_api()
        cls.agent_id = cls.agent.node_id()
        case.ready(cls.real_server, cls.agent_id, 60)
        cls.client = RealClient(cls.server)
        case.addCleanup(cls.client.cleanup)
        cls.client.start()
        cls.client_id = cls.client.node_id()
        case.ready(cls.server, cls.client_id, 90)

    @classmethod
    def tearDownClass(cls):
        cls.case.doCleanups()

    def runTest(self):
        pass

    def monitor(self, port, *args):
        """first line with a level that `nomad monitor` shows; requests give both programs something to say"""
        done = threading.Event()
        talk = threading.Thread(target=self.talk, args=(done,))
        talk.start()
        try:
            return self.first_line(port, *args)
        finally:
            done.set()
            talk.join()

    def talk(self, done):
        while not done.wait(0.5):
            for port in (self.agent.http, self.server.http, self.client.http):
                http_get(port, '/v1/agent/self')

    def first_line(self, port, *args):
        env = {**os.environ, 'NOMAD_ADDR': f'http://127.0.0.1:{port}'}
        proc = subprocess.Popen([NOMAD, 'monitor', '-log-level=TRACE', *args], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                text=True, env=env)
        try:
            for line in proc.stdout:
                if '[' in line:
                    return line.strip()
            self.fail('the stream ended without a line')
        finally:
            proc.send_signal(signal.SIGINT)
            try:
                proc.wait(10)
            except subprocess.TimeoutExpired:
                proc.kill()
                proc.wait()
            proc.stdout.close()
        return None

    def test_host_statistics(self):
        for name, port, node_id in (('picketd itself', self.agent.http, '-self'),
                                    ('picketd through the real server', self.real_server.http, self.agent_id),
                                    ('a real client through picket-server', self.server.http, self.client_id)):
            out = command('node', 'status', '-stats', node_id, port=port)
            for text in ('Host Resource Utilization', 'CPU Stats', 'Memory Stats', 'Uptime'):
                self.assertIn(text, out, name)
            result(f'nomad node status -stats: {name}')

    def test_metadata(self):
        if not AT_LEAST_1_5:
            status, _, _ = http_get(self.real_server.http, '/v1/client/metadata?node_id=' + self.agent_id)
            self.assertEqual(status, 404)       # a release that does not have it
            result('has no node metadata')
            return
        for name, port, node_id in (('on picketd itself', self.agent.http, self.agent_id),
                                    ('on picketd through the real server', self.real_server.http, self.agent_id)):
            command('node', 'meta', 'apply', '-node-id', node_id, 'rack=r1', port=port)
            self.assertEqual(json.loads(command('node', 'meta', 'read', '-json', '-node-id', node_id, port=port))['Meta']['rack'],
                             'r1')
            wait_until('registered', lambda: self.real_server.node(self.agent_id)['Meta'].get('rack') == 'r1', 30)
            command('node', 'meta', 'apply', '-node-id', node_id, '-unset', 'rack', port=port)
            wait_until('registered', lambda: 'rack' not in self.real_server.node(self.agent_id)['Meta'], 90)
            result(f'nomad node meta apply and read: {name}')

    def test_agent_info_and_monitor(self):
        out = command('agent-info', port=self.agent.http)
        for text in ('client', 'node_id = ' + self.agent_id, 'heartbeat_ttl', 'known_servers'):
            self.assertIn(text, out)
        result('nomad agent-info on picketd')
        for name, port, args in (('picketd itself', self.agent.http, ()),
                                 ('picketd through the real server', self.real_server.http, ('-node-id', self.agent_id)),
                                 ('picket-server', self.server.http, ()),
                                 ('a real client through picket-server', self.server.http, ('-node-id', self.client_id))):
            self.assertRegex(self.monitor(port, *args), r'\[(TRACE|DEBUG|INFO|WARN|ERROR)\]')
            result(f'nomad monitor: {name}')

    def test_server_list(self):
        self.assertIn(f'127.0.0.1:{self.real_server.rpc}', command('node', 'config', '-servers', port=self.agent.http))
        result('nomad node config -servers on picketd')

    def holds(self, ours, theirs, path=''):
        """What of the real server's answer is not in ours.  Ours may have the keys of later releases, and what is null in one
        release is empty in another or left out."""
        if not ours and not theirs:
            return []
        if isinstance(theirs, dict) and isinstance(ours, dict):
            return [d for k in theirs for d in self.holds(ours.get(k), theirs[k], f'{path}.{k}')]
        if isinstance(theirs, list) and isinstance(ours, list) and len(ours) == len(theirs):
            return [d for i, v in enumerate(theirs) for d in self.holds(ours[i], v, f'{path}[{i}]')]
        return [] if ours == theirs else [f'{path}: {ours!r} for {theirs!r}']

    def same(self, target):
        ours, theirs = http_get(self.agent.http, target), http_get(self.real_server.http, target)
        if ours[0] != theirs[0]:
            return [f'{ours[0]} for {theirs[0]}']
        if ours[0] != 200:
            return [] if ours[2] == theirs[2] else [f'{ours[2]} for {theirs[2]}']
        return self.holds(json.loads(ours[2]), json.loads(theirs[2]))

    def test_the_agent_forwards(self):
        for target in ('/v1/nodes', '/v1/nodes?prefix=' + self.agent_id[:4], '/v1/node/' + self.agent_id, '/v1/status/leader',
                       '/v1/status/peers', '/v1/regions', '/v1/agent/members', '/v1/nodes?resources=true',
                       '/v1/node/99999999-0000-0000-0000-000000000001', '/v1/nodes?prefix=zz'):
            with self.subTest(target):
                diff = ['']
                # the own node is read from a copy that follows the server's
                for _ in range(20):
                    diff = self.same(target)
                    if all(d.startswith('.Res') for d in diff):
                        break
                    time.sleep(0.5)
                # the form before 0.9 has the fields it had then
                self.assertEqual([d for d in diff if not d.startswith(('.Resources.', '.Reserved.'))], [])
        result('what picketd forwards is what the real server answers')

    def test_writes_through_the_agent(self):
        port, node_id = self.agent.http, self.agent_id
        command('node', 'eligibility', '-disable', node_id, port=port)
        self.assertEqual(self.real_server.node(node_id)['SchedulingEligibility'], 'ineligible')
        command('node', 'drain', '-enable', '-yes', '-detach', node_id, port=port)
        command('node', 'drain', '-disable', '-yes', node_id, port=port)
        self.assertIsNone(self.real_server.node(node_id)['DrainStrategy'])
        self.assertEqual(self.real_server.node(node_id)['SchedulingEligibility'], 'eligible')
        command('node', 'eligibility', '-disable', '-self', port=port)
        self.assertEqual(get_json(port, '/v1/node/' + node_id)['SchedulingEligibility'], 'ineligible')
        status, _, body = http_get(port, f'/v1/node/{node_id}/evaluate', 'PUT', '{}')
        self.assertEqual(status, 200, body)
        self.assertIn('EvalIDs', json.loads(body))
        result('nomad node eligibility, drain (enable, disable) and evaluate through picketd')

    def test_our_command_on_a_real_cluster(self):
        port = self.real_server.http
        for args, text in ((('node', 'status', '-stats', self.agent_id), 'Memory Stats'),
                           (('node', 'status', '-verbose', self.agent_id), 'Node registered'),
                           (('agent-info',), 'leader')):
            code, out, err = run_cli(*args, port=port)
            self.assertEqual(code, 0, err)
            self.assertIn(text, out)
        result('picket node status -stats and agent-info on a real server')


if __name__ == '__main__':
    unittest.main()
