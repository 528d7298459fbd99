"""The whole slice: a real host is fingerprinted, registers, beats, is read back, from both programs and the command."""
import http.client
import json
import os
import re
import signal
import socket
import time

from programs import ProgramCase, get_json, http_get, run_cli
from wire import Rpc, RpcError, beat, fake_node, register, wait_until

UUID = r'[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}'


class FirstNode(ProgramCase):
    """one server and one agent for all tests of the class: they only read"""

    @classmethod
    def setUpClass(cls):
        case = cls()
        cls.srv = case.server().start().wait()
        cls.agt = case.agent([cls.srv], client='''
  node_class = "edge"
  meta { rack = "r1" }
  options { "driver.raw_exec.enable" = "1" }
  host_volume "certs" { path = "/etc" read_only = true }
  host_volume "gone"  { path = "/nonexistent/volume" }
  reserved { cpu = 100 memory = 64 disk = 10 reserved_ports = "22,80-82" }''').start().wait_api()
        cls.case = case
        cls.node_id = cls.agt.node_id()
        cls.node = case.ready(cls.srv, cls.node_id)
        # slow probes (volumes, docker) ride along with a later registration
        cls.node = wait_until('volume and docker known', cls.whole_node)

    @classmethod
    def whole_node(cls):
        node = cls.srv.node(cls.node_id)
        return node if node['HostVolumes'] and 'docker' in node['Drivers'] else None

    @classmethod
    def tearDownClass(cls):
        cls.case.doCleanups()

    def runTest(self):
        pass

    def test_identity_is_kept_in_nomads_files(self):
        self.assertRegex(self.node_id, f'^{UUID}$')
        for name in ('client-id', 'secret-id'):
            path = os.path.join(self.agt.data, 'client', name)
            self.assertEqual(os.stat(path).st_size, 36)
            self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)

    def test_node_has_what_a_scheduler_needs(self):
        n = self.node
        self.assertEqual(n['Datacenter'], 'dc1')
        self.assertEqual(n['NodeClass'], 'edge')
        self.assertEqual(n['NodePool'], 'default')
        self.assertEqual(n['Meta']['rack'], 'r1')
        self.assertIn('connect.log_level', n['Meta'])
        r = n['NodeResources']
        cores = len(os.sched_getaffinity(0))
        self.assertGreaterEqual(r['Cpu']['CpuShares'], 100)
        self.assertGreaterEqual(r['Cpu']['TotalCpuCores'], cores)
        self.assertEqual(len(r['Processors']['Topology']['Cores']), r['Cpu']['TotalCpuCores'])
        with open('/proc/meminfo', encoding='ascii') as f:
            total_kb = int(f.readline().split()[1])
        self.assertEqual(r['Memory']['MemoryMB'], total_kb // 1024)
        self.assertGreater(r['Disk']['DiskMB'], 0)
        self.assertEqual((r['MinDynamicPort'], r['MaxDynamicPort']), (20000, 32000))
        self.assertEqual(n['Resources']['CPU'], r['Cpu']['CpuShares'])
        self.assertEqual(n['Reserved']['MemoryMB'], 64)
        self.assertEqual(n['ReservedResources']['Cpu']['CpuShares'], 100)
        self.assertEqual(n['ReservedResources']['Networks']['ReservedHostPorts'], '22,80-82')

    def test_attributes_describe_this_host(self):
        a, u = self.node['Attributes'], os.uname()
        self.assertEqual(a['kernel.name'], 'linux')
        self.assertEqual(a['kernel.version'], u.release)
        self.assertEqual(a['unique.hostname'], u.nodename)
        self.assertEqual(a['cpu.arch'], {'x86_64': 'amd64', 'aarch64': 'arm64'}[u.machine])
        self.assertIn('SIGTERM', a['os.signals'].split(','))
        self.assertEqual(a['os.signals'].split(','), sorted(a['os.signals'].split(',')))
        self.assertRegex(a['nomad.version'], r'^1\.10\.\d+')
        self.assertEqual(a['nomad.service_discovery'], 'false')
        self.assertEqual(a['driver.raw_exec'], '1')
        self.assertEqual(a['unique.advertise.address'], f'127.0.0.1:{self.agt.http}')
        self.assertIn('picket.version', a)
        self.assertLessEqual(len([k for k in a if 'picket.' in k]), 40)

    def test_drivers_carry_health_and_reason(self):
        d = self.node['Drivers']
        self.assertTrue(d['raw_exec']['Healthy'])
        self.assertEqual(d['raw_exec']['HealthDescription'], 'Healthy')
        self.assertEqual(d['raw_exec']['Attributes']['driver.raw_exec'], 'true')
        self.assertIn('docker', d)
        if not os.path.exists('/var/run/docker.sock'):
            self.assertFalse(d['docker']['Detected'])
            self.assertEqual(d['docker']['HealthDescription'], 'Failed to connect to docker daemon')

    def test_volumes_that_exist_are_published_and_others_are_explained(self):
        self.assertEqual(self.node['HostVolumes']['certs'],
                         {'ID': '', 'Name': 'certs', 'Path': '/etc', 'ReadOnly': True})
        self.assertNotIn('gone', self.node['HostVolumes'])
        text = json.dumps(get_json(self.agt.http, '/v1/agent/fingerprint'))
        self.assertIn('/nonexistent/volume', text)

    def test_node_is_ineligible_until_tasks_can_be_run(self):
        self.assertEqual(self.node['SchedulingEligibility'], 'ineligible')

    def test_events_and_indexes(self):
        e = self.node['Events'][0]
        self.assertEqual((e['Message'], e['Subsystem'], e['CreateIndex'], e['Details']),
                         ('Node registered', 'Cluster', 0, None))
        self.assertRegex(self.node['ComputedClass'], r'^v1:\d+$')
        self.assertGreaterEqual(self.node['ModifyIndex'], self.node['CreateIndex'])

    def test_secret_is_never_shown(self):
        with open(os.path.join(self.agt.data, 'client', 'secret-id'), encoding='ascii') as f:
            secret = f.read()
        self.assertEqual(self.node['SecretID'], '')
        for port in (self.srv.http, self.agt.http):
            for path in ('/v1/nodes?resources=true', '/v1/node/' + self.node_id, '/v1/agent/self'):
                self.assertNotIn(secret, http_get(port, path)[2], path)
        with Rpc(self.srv.rpc) as r:
            got = r.call('Node.GetNode', {'NodeID': self.node_id, 'Region': 'global'})
            self.assertEqual(got['Node']['SecretID'], '')
        self.assertNotIn(secret, self.srv.log() + self.agt.log())

    def test_agent_serves_its_own_node_on_the_same_routes(self):
        mine = wait_until('mirror is current', lambda: get_json(self.agt.http, '/v1/node/' + self.node_id)['Status'] == 'ready'
                          and get_json(self.agt.http, '/v1/node/' + self.node_id))
        theirs = self.srv.node(self.node_id)
        for n in (mine, theirs):
            n.pop('ModifyIndex'), n.pop('StatusUpdatedAt')
        self.assertEqual(mine, theirs)
        nodes = get_json(self.agt.http, '/v1/nodes')
        self.assertEqual([n['ID'] for n in nodes], [self.node_id])
        self.assertEqual(get_json(self.agt.http, f'/v1/node/{self.node_id}/allocations'), [])
        stats = get_json(self.agt.http, '/v1/agent/self')['stats']['client']
        self.assertEqual(stats['node_id'], self.node_id)
        self.assertEqual(stats['known_servers'], f'127.0.0.1:{self.srv.rpc}')

    def test_list_stub_fields_and_parameters(self):
        stub, = self.srv.nodes()
        self.assertEqual(sorted(stub), sorted(
            ['Address', 'CreateIndex', 'Datacenter', 'Drain', 'Drivers', 'HostVolumes', 'ID', 'LastDrain', 'ModifyIndex',
             'Name', 'NodeClass', 'NodePool', 'SchedulingEligibility', 'Status', 'StatusDescription', 'Version']))
        self.assertEqual(stub['Address'], '127.0.0.1')
        full, = self.srv.nodes('?resources=true&os=true')
        self.assertEqual(full['NodeResources']['Memory'], self.node['NodeResources']['Memory'])
        self.assertEqual(list(full['Attributes']), ['os.name'])
        self.assertEqual([n['ID'] for n in self.srv.nodes('?prefix=' + self.node_id[:4].upper())], [self.node_id])
        self.assertEqual(self.srv.nodes('?prefix=' + ('00' if self.node_id[:2] != '00' else '01')), [])
        text = http_get(self.srv.http, '/v1/nodes?pretty')[2]
        self.assertTrue(text.startswith('[\n    {\n        "Address": "127.0.0.1"'), text[:80])

    def test_headers_of_reads(self):
        for path in ('/v1/nodes', '/v1/node/' + self.node_id, f'/v1/node/{self.node_id}/allocations'):
            status, headers, _ = http_get(self.srv.http, path)
            self.assertEqual(status, 200)
            self.assertEqual(headers['content-type'], 'application/json')
            self.assertEqual(headers['x-nomad-knownleader'], 'true')
            self.assertEqual(headers['x-nomad-lastcontact'], '0')
            self.assertGreater(int(headers['x-nomad-index']), 0)

    def test_gzip_for_those_who_ask(self):
        import gzip
        c = http.client.HTTPConnection('127.0.0.1', self.srv.http, timeout=10)
        self.addCleanup(c.close)
        c.request('GET', '/v1/nodes', headers={'Accept-Encoding': 'gzip'})
        r = c.getresponse()
        self.assertEqual(r.getheader('Content-Encoding'), 'gzip')
        self.assertEqual(json.loads(gzip.decompress(r.read()))[0]['ID'], self.node_id)

    def test_status_and_agent_endpoints_of_the_server(self):
        self.assertEqual(get_json(self.srv.http, '/v1/status/leader'), f'127.0.0.1:{self.srv.rpc}')
        self.assertEqual(get_json(self.srv.http, '/v1/status/peers'), [f'127.0.0.1:{self.srv.rpc}'])
        self.assertEqual(get_json(self.srv.http, '/v1/regions'), ['global'])
        self.assertEqual(get_json(self.srv.http, '/v1/agent/health')['server'], {'message': 'ok', 'ok': True})
        self.assertEqual(get_json(self.agt.http, '/v1/agent/health')['client'], {'message': 'ok', 'ok': True})
        me = get_json(self.srv.http, '/v1/agent/self')
        self.assertEqual((me['config']['Region'], me['config']['Datacenter'], me['config']['Server']['Enabled']),
                         ('global', 'dc1', True))
        self.assertEqual(get_json(self.srv.http, '/v1/agent/members')['ServerRegion'], 'global')

    def test_cli_lists_and_shows(self):
        code, out, err = run_cli('node', 'status', port=self.srv.http)
        self.assertEqual((code, err), (0, ''))
        self.assertRegex(out, r'^ID +Node Pool +DC +Name +Class +Drain +Eligibility +Status')
        self.assertRegex(out, self.node_id[:8] + r' +default +dc1 +\S+ +edge +false +ineligible +ready')
        code, out, err = run_cli('node', 'status', '-verbose', self.node_id[:6], port=self.srv.http)
        self.assertEqual((code, err), (0, ''))
        for text in (self.node_id, 'kernel.name', 'raw_exec', 'Node registered', 'certs'):
            self.assertIn(text, out)
        code, out, _ = run_cli('node', 'status', '-json', self.node_id, port=self.srv.http)
        self.assertEqual((code, json.loads(out)['ID']), (0, self.node_id))
        code, out, _ = run_cli('node', 'status', '-self', port=self.agt.http)
        self.assertEqual(code, 0)
        self.assertIn(self.node_id[:8], out)

    def test_beats_come_by_ttl_and_touch_nothing(self):
        before = self.srv.node(self.node_id)
        index = http_get(self.srv.http, '/v1/nodes')[1]['x-nomad-index']
        time.sleep(3)
        after = self.srv.node(self.node_id)
        self.assertEqual(before, after)
        self.assertEqual(http_get(self.srv.http, '/v1/nodes')[1]['x-nomad-index'], index)


class Liveness(ProgramCase):
    SHORT = 'min_heartbeat_ttl = "1s"\n  heartbeat_grace = "1s"'

    def test_silent_agent_goes_down_and_comes_back_by_a_heartbeat(self):
        srv = self.server(server=self.SHORT).start().wait()
        agt = self.agent([srv]).start().wait_api()
        node_id = agt.node_id()
        self.ready(srv, node_id)
        agt.proc.send_signal(signal.SIGSTOP)
        wait_until('node down', lambda: srv.node(node_id)['Status'] == 'down', 15)
        agt.proc.send_signal(signal.SIGCONT)
        n = self.ready(srv, node_id)
        self.assertEqual([e['Message'] for e in n['Events']],
                         ['Node registered', 'Node heartbeat missed', 'Node reregistered by heartbeat'])
        missed = n['Events'][1]
        self.assertEqual(missed['Subsystem'], 'Cluster')
        self.assertGreater(missed['CreateIndex'], 0)

    def test_server_that_was_stopped_blames_nobody(self):
        srv = self.server(server=self.SHORT).start().wait()
        agents = [self.agent([srv]).start().wait_api() for _ in range(2)]
        ids = [a.node_id() for a in agents]
        for i in ids:
            self.ready(srv, i)
        for wakes_late in (False, True):    # a host with everything on it was asleep, the agents wake behind the server
            everyone = [srv] + (agents if wakes_late else [])
            for p in everyone:
                p.proc.send_signal(signal.SIGSTOP)
            time.sleep(6)
            for p in everyone:
                p.proc.send_signal(signal.SIGCONT)
                time.sleep(0.5)
            time.sleep(2)
        for i in ids:
            self.assertEqual([e['Message'] for e in self.ready(srv, i)['Events']], ['Node registered'])
        agents[0].proc.send_signal(signal.SIGSTOP)    # who is really gone is missed all the same
        wait_until('node down', lambda: srv.node(ids[0])['Status'] == 'down', 30)
        agents[0].proc.send_signal(signal.SIGCONT)

    def test_agent_waits_for_a_server_and_survives_its_restart(self):
        srv = self.server()
        agt = self.agent([srv]).start().wait_api()
        node_id = agt.node_id()
        nodes = wait_until('local snapshot', lambda: get_json(agt.http, '/v1/nodes'))    # before any contact
        self.assertEqual(nodes[0]['ID'], node_id)
        self.assertEqual(http_get(agt.http, '/v1/nodes')[1]['x-nomad-index'], '0')
        self.assertEqual(http_get(agt.http, '/v1/nodes')[1]['x-nomad-knownleader'], 'false')
        srv.start().wait()
        n = self.ready(srv, node_id, 60)
        self.assertEqual(srv.stop(), 0)
        srv.start().wait()
        again = self.ready(srv, node_id, 60)
        self.assertEqual(n['CreateIndex'], again['CreateIndex'])
        self.assertEqual([e['Message'] for e in again['Events']], ['Node registered'])

    def test_agent_restart_keeps_the_node(self):
        srv = self.server().start().wait()
        agt = self.agent([srv]).start().wait_api()
        n = self.ready(srv, agt.node_id())
        self.assertEqual(agt.stop(), 0)
        agt.start().wait_api()
        wait_until('registered again', lambda: srv.node(n['ID'])['ModifyIndex'] > n['ModifyIndex'])
        again = srv.node(n['ID'])
        self.assertEqual(again['CreateIndex'], n['CreateIndex'])
        self.assertEqual([e['Message'] for e in again['Events']], ['Node registered'])

    def test_purged_agent_registers_again(self):
        """a server that lost its state does not know the node: the heartbeat's answer makes the agent register"""
        srv = self.server(server='min_heartbeat_ttl = "1s"').start().wait()
        agt = self.agent([srv]).start().wait_api()
        node_id = agt.node_id()
        self.ready(srv, node_id)
        srv.kill()
        for name in os.listdir(os.path.join(srv.data, 'server')):
            os.unlink(os.path.join(srv.data, 'server', name))
        srv.start().wait()
        self.ready(srv, node_id, 60)

    def test_another_secret_is_refused_clearly_and_again(self):
        srv = self.server().start().wait()
        agt = self.agent([srv]).start().wait_api()
        n = self.ready(srv, agt.node_id())
        self.assertEqual(agt.stop(), 0)
        with open(os.path.join(agt.data, 'client', 'secret-id'), 'w', encoding='ascii') as f:
            f.write('11111111-2222-3333-4444-555555555555')
        agt.start()
        wait_until('error in the log', lambda: 'node secret ID does not match' in agt.log())
        self.assertTrue(agt.alive())
        self.assertEqual(srv.node(n['ID'])['ModifyIndex'], n['ModifyIndex'])

    def test_failover_to_the_server_that_lives(self):
        dead = socket.socket()
        dead.bind(('127.0.0.1', 0))         # bound, not listening: refused
        self.addCleanup(dead.close)
        mute = socket.socket()
        mute.bind(('127.0.0.1', 0))
        mute.listen()                       # accepts, never answers
        self.addCleanup(mute.close)
        srv = self.server().start().wait()
        agt = self.agent([dead.getsockname()[1], srv]).start().wait_api()
        self.ready(srv, agt.node_id(), 60)

    def test_notify_socket_gets_ready_status_stopping(self):
        for what in ('server', 'agent'):
            with self.subTest(what):
                path = os.path.join(self.tmpdir(), 'notify')
                sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
                self.addCleanup(sock.close)
                sock.bind(path)
                sock.settimeout(20)
                prog = self.server() if what == 'server' else self.agent([1])
                prog.start(env={'NOTIFY_SOCKET': path, 'WATCHDOG_USEC': '400000'})
                seen = []

                def has(*words):
                    end = time.monotonic() + 20
                    while not all(any(w in s for s in seen) for w in words):
                        self.assertLess(time.monotonic(), end, seen)
                        seen.append(sock.recv(4096).decode())

                has('READY=1', 'STATUS=', 'WATCHDOG=1')
                self.assertEqual(prog.stop(), 0)
                has('STOPPING=1')

    def test_ordered_stop_is_quick_and_clean(self):
        srv = self.server().start().wait()
        agt = self.agent([srv]).start().wait_api()
        self.ready(srv, agt.node_id())
        for prog in (agt, srv):
            start = time.monotonic()
            self.assertEqual(prog.stop(signal.SIGINT), 0)
            self.assertLess(time.monotonic() - start, 10)


class Blocking(ProgramCase):
    def test_list_wakes_on_any_node_and_a_node_only_on_its_own_change(self):
        srv = self.server().start().wait()
        a = fake_node('aaaaaaaa-0000-0000-0000-000000000001', 'aaaaaaaa-1111-1111-1111-000000000001')
        b = fake_node('bbbbbbbb-0000-0000-0000-000000000002', 'bbbbbbbb-1111-1111-1111-000000000002')
        with Rpc(srv.rpc) as r:
            register(r, a), register(r, b)
            index = int(http_get(srv.http, '/v1/nodes')[1]['x-nomad-index'])
            one = srv.node(a['ID'])['ModifyIndex']

            def waiting(path, wait='20s', at=None):
                c = http.client.HTTPConnection('127.0.0.1', srv.http, timeout=30)
                self.addCleanup(c.close)
                c.request('GET', f'{path}?index={at or index}&wait={wait}')
                return c

            lst, node = waiting('/v1/nodes'), waiting('/v1/node/' + a['ID'], '2s', one)
            time.sleep(0.3)
            start = time.monotonic()
            beat(r, b)                          # initializing -> ready: a write to b
            reply = lst.getresponse()
            self.assertLess(time.monotonic() - start, 2)
            self.assertGreater(int(reply.getheader('X-Nomad-Index')), index)
            reply.read()
            reply = node.getresponse()          # a did not change: runs into its time-out
            self.assertGreater(time.monotonic() - start, 1)
            self.assertEqual(int(reply.getheader('X-Nomad-Index')), one)
            self.assertEqual(json.loads(reply.read())['ID'], a['ID'])

    def test_event_wakes_lists_but_not_the_node(self):
        srv = self.server().start().wait()
        a = fake_node('aaaaaaaa-0000-0000-0000-000000000001', 'aaaaaaaa-1111-1111-1111-000000000001')
        with Rpc(srv.rpc) as r:
            register(r, a)
            before = srv.node(a['ID'])
            r.call('Node.EmitEvents', {'NodeEvents': {a['ID']: [
                {'Message': 'Healthy', 'Subsystem': 'Driver', 'Details': {'driver': 'docker'}, 'Timestamp': None}]},
                'Region': 'global', 'AuthToken': a['SecretID']})
            after = srv.node(a['ID'])
            self.assertEqual(after['ModifyIndex'], before['ModifyIndex'])
            self.assertEqual(after['Events'][-1]['Details'], {'driver': 'docker'})
            self.assertGreater(int(http_get(srv.http, '/v1/nodes')[1]['x-nomad-index']), before['ModifyIndex'])

    def test_unknown_fields_survive_in_the_store(self):
        srv = self.server().start().wait()
        a = fake_node('aaaaaaaa-0000-0000-0000-000000000001', 'aaaaaaaa-1111-1111-1111-000000000001',
                      FieldOfTomorrow={'x': [1, 'two', None]})
        with Rpc(srv.rpc) as r:
            register(r, a)
            beat(r, a)
            srv_reply = r.call('Node.GetNode', {'NodeID': a['ID'], 'Region': 'global'})
            self.assertEqual(srv_reply['Node']['FieldOfTomorrow'], {'x': [1, 'two', None]})
        srv.stop()
        srv.start().wait()
        with Rpc(srv.rpc) as r:
            srv_reply = r.call('Node.GetNode', {'NodeID': a['ID'], 'Region': 'global'})
            self.assertEqual(srv_reply['Node']['FieldOfTomorrow'], {'x': [1, 'two', None]})
            self.assertEqual(srv_reply['Node']['Status'], 'ready')

    def test_registration_rules_over_the_wire(self):
        srv = self.server().start().wait()
        ok = fake_node('aaaaaaaa-0000-0000-0000-000000000001', 'aaaaaaaa-1111-1111-1111-000000000001')
        cases = [
            ({'Datacenter': ''}, 'missing datacenter for client registration'),
            ({'Name': ''}, 'missing node name for client registration'),
            ({'Attributes': {}}, 'missing attributes for client registration'),
            ({'SecretID': ''}, 'missing node secret ID for client registration'),
            ({'ID': ''}, 'missing node ID for client registration'),
            ({'ID': 'nope'}, 'node lookup failed: index error: UUID must be 36 characters'),
            ({'Status': 'lost'}, 'invalid status for node'),
        ]
        with Rpc(srv.rpc) as r:
            for change, text in cases:
                with self.subTest(text):
                    with self.assertRaises(RpcError) as e:
                        register(r, {**ok, **change})
                    self.assertEqual(str(e.exception), text)
            with self.assertRaisesRegex(RpcError, '^missing node for client registration$'):
                r.call('Node.Register', {'Node': None, 'Region': 'global'})
            with self.assertRaisesRegex(RpcError, '^missing region for target RPC$'):
                r.call('Node.Register', {'Node': ok})
            with self.assertRaisesRegex(RpcError, 'No path to region'):
                r.call('Node.Register', {'Node': ok, 'Region': 'mars'})
            register(r, ok)
            with self.assertRaisesRegex(RpcError, r'^node secret ID does not match\. Not registering node\.$'):
                register(r, {**ok, 'SecretID': 'cccccccc-1111-1111-1111-000000000001'})
            with self.assertRaisesRegex(RpcError, '^node not found$'):
                beat(r, {'ID': 'dddddddd-0000-0000-0000-000000000001', 'SecretID': ''})
        self.assertEqual(re.findall(r'"ID":"([^"]+)"', http_get(srv.http, '/v1/nodes')[2]), [ok['ID']])
