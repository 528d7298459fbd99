"""The configuration read again under running programs: SIGHUP, `picket agent reload`, the API; what is applied, what is not."""
import http.client
import json
import os
import shutil
import re
import signal
import socket
import subprocess
import time
import unittest

from programs import BIN, ProgramCase, get_json, http_get, run_cli
from wire import wait_until

CLIENT = '''
  node_class = "edge"
  meta { rack = "r1" owner = "ops" }
  options { "driver.raw_exec.enable" = "1" "fingerprint.denylist" = "env_aws,env_gce,env_azure,env_digitalocean" }
  host_volume "certs" { path = "/etc" read_only = true }
'''


def unix_request(path, method, target, body=None):
    """(status, body) of one request over a unix socket"""
    c = http.client.HTTPConnection('localhost', timeout=20)
    c.sock = socket.socket(socket.AF_UNIX)
    c.sock.settimeout(20)
    c.sock.connect(path)
    try:
        c.request(method, target, body)
        r = c.getresponse()
        return r.status, r.read().decode()
    finally:
        c.close()


class Reload(ProgramCase):
    def setUp(self):
        self.srv = self.server().start().wait()
        self.agt = self.agent([self.srv], client=CLIENT).start().wait_api()
        self.node_id = self.agt.node_id()
        self.ready(self.srv, self.node_id)
        wait_until('volume known', lambda: self.srv.node(self.node_id)['HostVolumes'])
        self.settled()

    def settled(self):
        """what slow probes add has been sent: the node stays as it is while they have all answered"""
        def same():
            probes = get_json(self.agt.http, '/v1/agent/fingerprint')['Probes']
            if any(p['State'] == 'never' for p in probes):
                return False
            mine, theirs = get_json(self.agt.http, '/v1/node/' + self.node_id), self.srv.node(self.node_id)
            return mine['Attributes'] == theirs['Attributes'] and theirs
        return wait_until('agent and server agree', same)

    def rewrite(self, client, extra=''):
        self.agt.settings = extra, client
        self.agt.configure()

    def reloads(self):
        return self.agt.log().count('configuration reloaded') + self.agt.log().count('configuration not reloaded')

    def hup(self):
        before = self.reloads()
        self.agt.proc.send_signal(signal.SIGHUP)
        wait_until('reload is logged', lambda: self.agt.alive() and self.reloads() > before)

    def socket(self):
        return os.path.join(self.agt.data, 'agent.sock')

    def test_a_changed_file_reaches_the_server_by_one_registration(self):
        before = self.srv.node(self.node_id)
        self.rewrite('''
  node_class = "core"
  meta { rack = "r2" }
  options { "driver.raw_exec.enable" = "0" "fingerprint.denylist" = "env_aws,env_gce,env_azure,env_digitalocean" }
  reserved { cpu = 77 memory = 33 }
  memory_total_mb = 4321
  min_dynamic_port = 21000
  host_volume "logs" { path = "/usr" }
''')
        self.hup()
        node = wait_until('server knows', lambda: self.srv.node(self.node_id)['NodeClass'] == 'core' and self.srv.node(self.node_id), 60)
        self.assertEqual((node['Meta']['rack'], 'owner' in node['Meta']), ('r2', False))
        self.assertEqual(sorted(node['HostVolumes']), ['logs'])
        self.assertEqual(node['HostVolumes']['logs']['Path'], '/usr')
        self.assertEqual(node['NodeResources']['Memory']['MemoryMB'], 4321)
        self.assertEqual(node['NodeResources']['MinDynamicPort'], 21000)
        self.assertEqual(node['ReservedResources']['Cpu']['CpuShares'], 77)
        self.assertNotIn('driver.raw_exec', node['Attributes'])
        self.assertFalse(node['Drivers']['raw_exec']['Detected'])
        # all of it came at once: nothing else was written for this node in between
        self.assertEqual(node['Status'], 'ready')
        self.assertNotEqual(node['ModifyIndex'], before['ModifyIndex'])
        registrations = [e for e in node['Events'] if 'registered' in e['Message']]
        self.assertEqual(len(registrations), len([e for e in before['Events'] if 'registered' in e['Message']]))
        self.assertEqual(get_json(self.agt.http, '/v1/agent/self')['config']['Client']['NodeClass'], 'core')
        for key in ('client.node_class', 'client.meta', 'client.options', 'client.host_volume', 'client.reserved.cpu',
                    'client.memory_total_mb', 'client.min_dynamic_port'):
            self.assertRegex(self.agt.log(), rf'configuration changed, applied.*{re.escape(key)}')

    def test_one_write_for_one_reload(self):
        index = self.settled()['ModifyIndex']
        self.rewrite(CLIENT.replace('"r1"', '"r9"').replace('path = "/etc"', 'path = "/usr"'))
        self.hup()
        node = wait_until('server knows', lambda: self.srv.node(self.node_id)['Meta']['rack'] == 'r9' and self.srv.node(self.node_id), 60)
        self.assertEqual(node['HostVolumes']['certs']['Path'], '/usr')
        self.assertEqual(node['ModifyIndex'], index + 1)  # nobody else writes into this server

    def test_an_unchanged_file_sends_nothing(self):
        index = self.settled()['ModifyIndex']
        for _ in range(3):
            self.hup()
        self.assertIn('applied=0', self.agt.log())
        # a later change is the very next write
        self.rewrite(CLIENT.replace('"r1"', '"r3"'))
        self.hup()
        node = wait_until('server knows', lambda: self.srv.node(self.node_id)['Meta']['rack'] == 'r3' and self.srv.node(self.node_id), 60)
        self.assertEqual(node['ModifyIndex'], index + 1)

    def test_an_invalid_file_changes_nothing(self):
        before = get_json(self.agt.http, '/v1/agent/self')['config']
        self.rewrite('node_class = "new"\n  node_clas = "x"\n  cpu_total_compute = "lots"', 'log_level = "LOUD"')
        self.hup()
        log = self.agt.log()
        path = re.escape(self.agt.config_path)
        self.assertRegex(log, rf'configuration not reloaded, the old one stays.*{path}:\d+:\d+: unknown key')
        self.assertRegex(log, rf'{path}:\d+:\d+: [^\n]*cpu_total_compute')
        self.assertEqual(get_json(self.agt.http, '/v1/agent/self')['config'], before)
        status, body = unix_request(self.socket(), 'PUT', '/v1/agent/reload')
        said = json.loads(body)
        self.assertEqual((status, said['Applied'], said['NeedsRestart']), (400, [], []))
        self.assertGreaterEqual(len(said['Errors']), 2)
        for e in said['Errors']:
            self.assertRegex(e, rf'^{path}:\d+:\d+: ')
        code, out, err = run_cli('agent', 'reload', f'-data-dir={self.agt.data}')
        self.assertEqual((code, out), (1, ''))
        self.assertIn('unknown key', err)
        self.assertIn('Configuration not reloaded, the old one stays in force', err)
        self.assertEqual(self.srv.node(self.node_id)['NodeClass'], 'edge')

    def test_what_needs_a_restart_is_named(self):
        self.rewrite(CLIENT + 'no_host_uuid = false\n', 'name = "other" limits { http_max_conns_per_client = 7 }')
        code, out, err = run_cli('agent', 'reload', f'-data-dir={self.agt.data}')
        self.assertEqual((code, err), (0, ''))
        self.assertEqual(out, 'Configuration reloaded\nNeeds a restart:\n  name\n  client.no_host_uuid\n'
                              '  limits.http_max_conns_per_client\n')
        self.assertNotEqual(get_json(self.agt.http, '/v1/agent/self')['config']['NodeName'], 'other')
        self.assertRegex(self.agt.log(), r'configuration changed, needs a restart.*client\.no_host_uuid')

    def test_the_command_applies_and_says_so(self):
        self.rewrite(CLIENT.replace('"r1"', '"r5"'), 'log_level = "DEBUG" http_api_response_headers { X-Reloaded = "yes" }')
        code, out, err = run_cli('agent', 'reload', f'-address=unix://{self.socket()}')
        self.assertEqual((code, err), (0, ''))
        self.assertEqual(out, 'Configuration reloaded\nApplied:\n  log_level\n  http_api_response_headers\n  client.meta\n')
        self.assertEqual(http_get(self.agt.http, '/v1/status/peers')[1]['x-reloaded'], 'yes')
        code, out, _ = run_cli('agent', 'reload', f'-data-dir={self.agt.data}', '-json')
        self.assertEqual((code, json.loads(out)), (0, {'Applied': [], 'NeedsRestart': [], 'Warnings': [], 'Errors': []}))
        self.rewrite(CLIENT + 'network_speed = 5\n', 'log_level = "DEBUG"')
        self.hup()
        wait_until('probes log at the new level', lambda: '[DEBUG]' in self.agt.log())

    def test_only_root_over_the_unix_socket(self):
        self.rewrite(CLIENT.replace('"r1"', '"r6"'))
        for method in ('PUT', 'POST'):
            status, _, body = http_get(self.agt.http, '/v1/agent/reload', method)
            self.assertEqual((status, body), (403, 'Permission denied'))
        code, out, err = run_cli('agent', 'reload', f'-address=http://127.0.0.1:{self.agt.http}')
        self.assertEqual((code, out), (1, ''))
        self.assertIn('only over the agent\'s unix socket', err)
        self.assertEqual(get_json(self.agt.http, '/v1/agent/self')['config']['Client']['Meta']['rack'], 'r1')
        self.assertEqual(http_get(self.agt.http, '/v1/agent/reload')[0], 405)
        if os.geteuid() == 0:  # anybody else may connect, and is refused
            os.chmod(self.agt.dir, 0o755)
            os.chmod(self.agt.data, 0o711)
            # where this user may go, whatever the folder of the build
            program = shutil.copy(os.path.join(BIN, 'picket'), os.path.join(self.agt.dir, 'picket'))
            r = subprocess.run([program, 'agent', 'reload',
                                f'-address=unix://{self.socket()}'], capture_output=True, text=True, check=False,
                               user=65534, group=65534, extra_groups=[])
            self.assertEqual(r.returncode, 1)
            self.assertIn('Permission denied', r.stderr)
        status, body = unix_request(self.socket(), 'POST', '/v1/agent/reload')
        self.assertEqual((status, json.loads(body)['Applied']), (200, ['client.meta']))

    def test_the_node_moves_to_other_servers(self):
        other = self.server().start().wait()
        self.agt.servers = [other]
        self.agt.configure()
        self.hup()
        self.assertRegex(self.agt.log(), r'configuration changed, applied.*client\.servers')
        self.ready(other, self.node_id, 60)
        stats = get_json(self.agt.http, '/v1/agent/self')['stats']['client']
        self.assertEqual(stats['known_servers'], f'127.0.0.1:{other.rpc}')

    def test_fifty_reloads_leave_nothing_behind(self):
        pid = self.agt.proc.pid

        def descriptors():
            return len(os.listdir(f'/proc/{pid}/fd'))

        def quiet():
            """no probe is at work"""
            with open(f'/proc/{pid}/task/{pid}/children', encoding='ascii') as f:
                return not f.read().strip()

        def one(i):
            self.rewrite(CLIENT.replace('"r1"', f'"r{i % 2}"').replace('path = "/etc"', f'path = "/{("etc", "usr")[i % 2]}"'))
            status, body = unix_request(self.socket(), 'PUT', '/v1/agent/reload')
            self.assertEqual((status, json.loads(body)['Errors']), (200, []))
        for i in range(10):
            one(i)
        wait_until('probes are done', quiet, 60)
        fds = descriptors()
        _, private = self.agt.resident_kb()
        for i in range(50):
            one(i)
        wait_until('probes are done', quiet, 60)
        wait_until('descriptors are given back', lambda: descriptors() <= fds + 1, 60)
        if not self.agt.keeps_freed_memory():
            self.assertLess(self.agt.resident_kb()[1], private + 1024)
        node = wait_until('server knows the last', lambda: self.srv.node(self.node_id)['HostVolumes']['certs']['Path'] == '/usr'
                          and self.srv.node(self.node_id), 120)
        self.assertEqual((node['Status'], node['Meta']['rack']), ('ready', 'r1'))

    def test_a_reload_while_the_servers_are_gone_is_told_when_they_are_back(self):
        self.srv.stop()
        self.rewrite(CLIENT.replace('"r1"', '"r7"'))
        self.hup()
        self.assertEqual(get_json(self.agt.http, '/v1/agent/self')['config']['Client']['Meta']['rack'], 'r7')
        self.srv.start().wait()
        wait_until('server knows', lambda: self.srv.node(self.node_id)['Meta']['rack'] == 'r7', 90)


class ServerReload(ProgramCase):
    def test_heartbeats_and_log_of_the_server(self):
        srv = self.server(server='min_heartbeat_ttl = "10s"').start().wait()
        agt = self.agent([srv]).start().wait_api()
        self.ready(srv, agt.node_id())
        srv.settings = ('log_level = "DEBUG" region = "other"', 'min_heartbeat_ttl = "1s" heartbeat_grace = "20s"', '')
        srv.configure()
        srv.proc.send_signal(signal.SIGHUP)
        wait_until('reload is logged', lambda: 'configuration reloaded' in srv.log())
        for key in ('log_level', 'server.min_heartbeat_ttl', 'server.heartbeat_grace'):
            self.assertRegex(srv.log(), rf'configuration changed, applied.*{re.escape(key)}')
        self.assertRegex(srv.log(), r'configuration changed, needs a restart.*region')

        def ttl():
            text = get_json(agt.http, '/v1/agent/self')['stats']['client']['heartbeat_ttl']
            m = re.fullmatch(r'(?:(\d+)m)?([\d.]+)(ms|s)', text)
            return int(m[1] or 0) * 60 + float(m[2]) / (1000 if m[3] == 'ms' else 1)
        # the next beat, at most the old TTL of 20 s away, brings the new one
        wait_until('the agent beats by the new pace', lambda: 0 < ttl() <= 2, 60)
        srv.settings = ('nonsense = 1', '', '')
        srv.configure()
        srv.proc.send_signal(signal.SIGHUP)
        wait_until('error is logged', lambda: 'configuration not reloaded, the old one stays' in srv.log())
        self.assertEqual(get_json(srv.http, '/v1/agent/self')['config']['LogLevel'], 'DEBUG')
        self.assertEqual(http_get(srv.http, '/v1/agent/reload', 'PUT')[0], 403)


class UnderSystemd(ProgramCase):
    def test_systemd_is_told(self):
        path = os.path.join(self.tmpdir(), 'notify')
        s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(s.close)
        s.bind(path)
        s.settimeout(30)
        agt = self.agent([], client=CLIENT).start(env={'NOTIFY_SOCKET': path})

        def until(wanted):
            texts = []
            end = time.monotonic() + 60
            while time.monotonic() < end:
                texts.append(s.recv(4096).decode())
                if any(line.startswith(wanted) for line in texts[-1].split('\n')):
                    return texts
            raise AssertionError(f'{wanted} did not come: {texts}')
        until('READY=1')
        agt.proc.send_signal(signal.SIGHUP)
        text = until('RELOADING=1')[-1]
        self.assertRegex(text, r'RELOADING=1\nMONOTONIC_USEC=\d+')
        until('READY=1')


if __name__ == '__main__':
    unittest.main()
