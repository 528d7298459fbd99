"""The operator's commands with the real programs on the other side."""
import json
import os
import re
import signal
import subprocess
import unittest

from programs import BIN, ProgramCase, run_cli
from wire import wait_until


class Operator(ProgramCase):
    """one server and one agent for all tests of the class; each test takes back what it changed"""

    @classmethod
    def setUpClass(cls):
        case = cls()
        cls.srv = case.server().start().wait()
        cls.agt = case.agent([cls.srv], client='node_class = "edge"\n meta { rack = "r1" }').start().wait_api()
        cls.case = case
        cls.node_id = cls.agt.node_id()
        case.ready(cls.srv, cls.node_id)

    @classmethod
    def tearDownClass(cls):
        cls.case.doCleanups()

    def runTest(self):
        pass

    def ok(self, *args, port=None):
        code, out, err = run_cli(*args, port=port or self.agt.http)
        self.assertEqual((code, err), (0, ''), out)
        return out

    def test_node_status_with_statistics(self):
        for port in (self.agt.http, self.srv.http):  # a server asks the agent
            out = self.ok('node', 'status', '-stats', self.node_id[:8], port=port)
            with open('/proc/stat', encoding='ascii') as f:
                cores = len(re.findall(r'^cpu\d', f.read(), re.M))
            self.assertEqual(len(re.findall(r'^CPU +=', out, re.M)), cores)
            for heading in ('Host Resource Utilization', 'CPU Stats', 'Memory Stats', 'Disk Stats', 'Allocations'):
                self.assertIn(f'\n{heading}\n', out)
            self.assertRegex(out, r'Uptime +=')
            self.assertRegex(out, r'Idle +=\s+\d+\.\d\d%')
        self.assertEqual(self.ok('node', 'status', '-self').split('\n')[0], f'ID              = {self.node_id}')
        verbose = self.ok('node', 'status', '-self', '-stats', '-verbose')
        self.assertIn('\nDrivers\n', verbose)
        self.assertRegex(verbose, r'\ndocker +(true|false) +(true|false) +\S')
        self.assertIn('Node registered', verbose)

    def test_metadata_is_changed_and_read_back(self):
        def rows(text, heading):
            part = text.split(heading + '\n')[1].split('\n\n')[0]
            return dict(re.findall(r'^(\S+) += (.*)$', part, re.M))
        self.assertEqual(self.ok('node', 'meta', 'apply', 'a=1', 'b=', 'c=x=y'), '')
        self.addCleanup(self.ok, 'node', 'meta', 'apply', '-unset', 'a,b,c')
        out = self.ok('node', 'meta', 'read')
        self.assertEqual(rows(out, 'Dynamic Meta'), {'a': '1', 'b': '<none>', 'c': 'x=y'})
        self.assertEqual(rows(out, 'All Meta')['rack'], 'r1')
        # by way of the server, which asks the agent
        self.ok('node', 'meta', 'apply', '-node-id', self.node_id[:6], '-unset', 'a,rack', 'd=4', port=self.srv.http)
        self.addCleanup(self.ok, 'node', 'meta', 'apply', 'rack=r1')
        self.addCleanup(self.ok, 'node', 'meta', 'apply', '-unset', 'd')
        out = self.ok('node', 'meta', 'read', '-node-id', self.node_id, port=self.srv.http)
        self.assertEqual(rows(out, 'Dynamic Meta')['rack'], '<unset>')
        self.assertNotIn('rack', rows(out, 'All Meta'))
        self.assertEqual(rows(out, 'Static Meta')['rack'], 'r1')
        self.assertEqual(json.loads(self.ok('node', 'meta', 'read', '-json'))['Dynamic']['d'], '4')
        wait_until('the server knows', lambda: self.srv.node(self.node_id)['Meta'].get('d') == '4', 60)

    def test_metadata_that_nobody_takes(self):
        code, _, err = run_cli('node', 'meta', 'apply', 'bad key=1', port=self.agt.http)
        self.assertEqual(code, 1)
        self.assertEqual(err, 'Error applying dynamic node metadata: Unexpected response code: 400 ("bad key" is invalid; '
                              'metadata keys must be valid dotted hcl identifiers)\n')
        code, _, err = run_cli('node', 'meta', 'read', '-node-id', 'ffff', port=self.srv.http)
        self.assertEqual((code, err), (1, 'No node(s) with prefix or id "ffff" found\n'))

    def test_agent_info_of_both(self):
        out = self.ok('agent-info')
        self.assertIn(f'  node_id = {self.node_id}\n', out)
        self.assertIn(f'  known_servers = 127.0.0.1:{self.srv.rpc}\n', out)
        self.assertRegex(self.ok('agent-info', port=self.srv.http), r'(?s)^nomad\n  bootstrap = true.*raft\n.*runtime\n')
        self.assertIn('config', json.loads(self.ok('agent-info', '-json')))
        code, _, err = run_cli('node', 'status', '-self', port=self.srv.http)
        self.assertEqual((code, err), (1, 'Nomad not running in client mode\n'))

    def test_servers_of_the_agent(self):
        address = f'127.0.0.1:{self.srv.rpc}'
        self.assertEqual(self.ok('node', 'config', '-servers'), address + '\n')
        self.assertEqual(self.ok('node', 'config', '-update-servers', address), 'Updated server list\n')
        self.assertEqual(self.ok('node', 'config', '-servers'), address + '\n')
        code, _, err = run_cli('node', 'config', '-servers', port=self.srv.http)
        self.assertEqual(code, 1)
        self.assertRegex(err, r'^Error querying server list: Unexpected response code: 501 ')

    def test_what_the_agent_knows_of_its_probes(self):
        out = self.ok('fingerprint', '-agent')
        self.assertRegex(out, r'Probe +State +Age +Time +Reason\n')
        self.assertRegex(out, r'\nhost +good +\d')
        out = self.ok('fingerprint', f'-address=http://127.0.0.1:{self.agt.http}', '-explain', 'kernel.name')
        self.assertRegex(out, r'\nhost: good; values from \S+ ago\n(.*\n)*kernel\.name +linux')
        code, _, err = run_cli('fingerprint', '-agent', 'nothing.of.this', port=self.agt.http)
        self.assertEqual((code, err), (1, 'Error: no probe, attribute, driver, volume or check is called "nothing.of.this"\n'))

    def monitor(self, *args, port=None):
        path = os.path.join(self.tmpdir(), 'out')
        env = {**{k: v for k, v in os.environ.items() if not k.startswith('NOMAD_')},
               'NOMAD_ADDR': f'http://127.0.0.1:{port or self.agt.http}'}
        with open(path, 'wb') as out:
            p = subprocess.Popen([os.path.join(BIN, 'picket'), 'monitor', *args], stdin=subprocess.DEVNULL, stdout=out,
                                 stderr=subprocess.STDOUT, env=env)
        self.addCleanup(p.wait)
        self.addCleanup(p.kill)

        def text():
            with open(path, encoding='utf-8') as f:
                return f.read()
        return p, text

    def shown(self, p, text, words, change):
        """something is logged until the monitor, which takes a moment to begin, shows it"""
        def check():
            self.assertIsNone(p.poll(), text())
            change()
            return words in text()
        wait_until('the monitor shows it', check, 60, 0.3)

    def meta(self):
        self.ok('node', 'meta', 'apply', '-unset', 'zz')

    def test_monitor_shows_the_log_until_it_is_interrupted(self):
        p, text = self.monitor('-log-level', 'INFO')
        self.shown(p, text, '/v1/client/metadata', self.meta)
        p.send_signal(signal.SIGINT)
        self.assertEqual(p.wait(30), 0)
        self.assertTrue(all(re.match(r'\d{4}-\d\d-\d\dT', line) for line in text().splitlines()), text())

    def test_monitor_in_json_of_a_node_by_its_server(self):
        p, text = self.monitor('-json', '-node-id', self.node_id[:8], port=self.srv.http)
        self.shown(p, text, '/v1/client/metadata', self.meta)
        p.send_signal(signal.SIGTERM)
        self.assertEqual(p.wait(30), 0)
        for line in text().splitlines():
            self.assertIn('@message', json.loads(line))

    def test_monitor_ends_with_the_agent(self):
        agt = self.agent([self.srv]).start().wait_api()
        p, text = self.monitor('-log-level=DEBUG', port=agt.http)

        def change():
            run_cli('node', 'meta', 'apply', 'a=1', port=agt.http)
        self.shown(p, text, 'metadata', change)
        agt.kill()
        self.assertEqual(p.wait(30), 0, text())

    def test_monitor_of_a_level_that_is_none(self):
        code, out, err = run_cli('monitor', '-log-level=zz', port=self.agt.http)
        self.assertEqual((code, out), (1, ''))
        self.assertEqual(err, "==> Error starting monitor: Unexpected response code: 400 (Unknown log level: zz)\n"
                              "==> For additional help try 'picket monitor -help'\n")


if __name__ == '__main__':
    unittest.main()
