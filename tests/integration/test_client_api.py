"""What an agent tells about itself: to its own API, and to servers over the connection that it opened to them."""
import base64
import http.client
import json
import os
import signal
import socket
import threading
import time
import unittest

from programs import ProgramCase, get_json, http_get
from wire import wait_until

UNKNOWN = '11111111-1111-1111-1111-111111111111'


def post(port, target, body):
    return http_get(port, target, 'POST', json.dumps(body))


class Stream:
    """a monitor that is being read"""

    def __init__(self, port, query):
        self.conn = http.client.HTTPConnection('127.0.0.1', port, timeout=30)
        self.conn.request('GET', '/v1/agent/monitor?' + query)
        self.reply = self.conn.getresponse()
        self.text = b''
        self.lock = threading.Lock()
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        try:
            while chunk := self.reply.read1(65536):
                with self.lock:
                    self.text += chunk
        except (OSError, ValueError, AttributeError, http.client.HTTPException):
            pass

    def raw(self):
        with self.lock:
            return self.text.decode()

    def frames(self):
        out, text, at = [], self.raw(), 0
        while at < len(text):
            try:
                frame, at = json.JSONDecoder().raw_decode(text, at)
            except json.JSONDecodeError:
                break
            out.append(frame)
        return out

    def lines(self):
        return b''.join(base64.b64decode(f['Data']) for f in self.frames() if 'Data' in f).decode()

    def close(self):
        if self.conn.sock:
            self.conn.sock.shutdown(socket.SHUT_RDWR)
        self.thread.join(10)
        self.conn.close()


class AgentAlone(ProgramCase):
    """no server is needed for any of this"""

    def setUp(self):
        self.a = self.agent([], client='meta { rack = "r1" zone = "z" }',
                            extra='telemetry { prometheus_metrics = true }').start().wait_api()
        self.wait_probes()

    def wait_probes(self):
        wait_until('every probe has answered', lambda: all(
            p['State'] != 'never' for p in self.get('/v1/agent/fingerprint')['Probes']))
        wait_until('there is a node', lambda: http_get(self.a.http, f'/v1/node/{self.a.node_id()}')[0] == 200)

    def get(self, target):
        return get_json(self.a.http, target)

    def check_stats(self, s):
        self.assertEqual(sorted(s), ['AllocDirStats', 'CPU', 'CPUTicksConsumed', 'DeviceStats', 'DiskStats', 'Memory',
                                     'Timestamp', 'Uptime'])
        self.assertEqual(len(s['CPU']), len([n for n in os.listdir('/sys/devices/system/cpu') if n[3:].isdigit() and
                                             n.startswith('cpu')]))
        for c in s['CPU']:
            self.assertEqual(sorted(c), ['CPU', 'Idle', 'System', 'Total', 'TotalPercent', 'TotalTicks', 'User'])
            self.assertTrue(0 <= c['Idle'] <= 100.0001)
            self.assertAlmostEqual(c['Idle'] + c['TotalPercent'], 100, delta=0.001)
            self.assertEqual(c['Total'], c['TotalPercent'])
        self.assertAlmostEqual(s['CPUTicksConsumed'], sum(c['TotalTicks'] for c in s['CPU']), delta=0.01)
        self.assertTrue(0 < s['Memory']['Free'] <= s['Memory']['Total'])
        self.assertTrue(s['Memory']['Used'] + s['Memory']['Free'] <= s['Memory']['Total'])
        here = os.statvfs(self.a.data)
        self.assertEqual(s['AllocDirStats']['Size'], here.f_blocks * here.f_bsize)
        self.assertEqual(s['AllocDirStats']['Mountpoint'], '')
        self.assertIsNone(s['DeviceStats'])
        for d in s['DiskStats']:
            self.assertTrue(d['Mountpoint'].startswith('/'))
            self.assertTrue(0 <= d['UsedPercent'] <= 100)
        self.assertAlmostEqual(s['Timestamp'] / 1e9, time.time(), delta=120)
        with open('/proc/uptime', encoding='ascii') as f:
            self.assertAlmostEqual(s['Uptime'], float(f.read().split()[0]), delta=120)

    def test_statistics_have_nomads_fields(self):
        self.check_stats(self.get('/v1/client/stats'))
        self.check_stats(self.get(f'/v1/client/stats?node_id={self.a.node_id()}'))

    def test_metadata_is_read_changed_and_kept(self):
        m = self.get('/v1/client/metadata')
        self.assertEqual(m['Dynamic'], {})
        self.assertEqual(m['Static'], m['Meta'])
        self.assertEqual(m['Meta']['rack'], 'r1')
        self.assertEqual(m['Meta']['connect.log_level'], 'info')
        status, _, body = post(self.a.http, '/v1/client/metadata', {'Meta': {'new': '1', 'zone': None}})
        self.assertEqual(status, 200)
        self.assertEqual(json.loads(body)['Dynamic'], {'new': '1', 'zone': None})
        self.assertNotIn('zone', json.loads(body)['Meta'])
        self.a.kill()
        self.a.start().wait_api()
        self.wait_probes()
        m = self.get('/v1/client/metadata')
        self.assertEqual(m['Dynamic'], {'new': '1', 'zone': None})
        self.assertEqual(m['Static']['zone'], 'z')
        self.assertNotIn('zone', m['Meta'])
        node = self.get(f'/v1/node/{self.a.node_id()}')
        self.assertEqual(node['Meta'], m['Meta'])

    def test_metadata_that_nomad_refuses(self):
        for body, text in (
                ('', 'Request body is empty'),
                ('{}', 'missing required Meta object'),
                ('{"Meta": {"a b": "1"}}', '"a b" is invalid; metadata keys must be valid dotted hcl identifiers'),
                ('{"Meta": {"": "1"}}', 'metadata keys must not be empty'),
                ('{"Meta": {"q": 1}}', 'json: cannot unmarshal number into Go struct field NodeMetaApplyRequest.Meta of '
                                       'type string')):
            status, _, got = http_get(self.a.http, '/v1/client/metadata', 'POST', body)
            self.assertEqual((status, got), (400, text))
        status, _, got = http_get(self.a.http, '/v1/client/metadata', 'PUT', '{"Meta": {"a": "1"}}')
        self.assertEqual((status, got), (405, 'Invalid method'))
        self.assertEqual(self.get('/v1/client/metadata')['Dynamic'], {})

    def test_report_on_the_host_hides_secrets(self):
        self.a.stop()
        env = {'MY_TOKEN': 'hush', 'A_URL': 'http://me:hush@host/', 'PLAIN_THING': 'shown'}
        self.a.start(env=env).wait_api()
        h = self.get('/v1/agent/host')
        self.assertEqual(sorted(h), ['Disk', 'Environment', 'Hosts', 'Network', 'OS', 'ResolvConf'])
        self.assertEqual(h['Environment'], {})
        self.assertIn('127.0.0.1', [n['address'] for n in h['Network']])
        named = self.get(f'/v1/agent/host?node_id={self.a.node_id()}')
        self.assertEqual(named['AgentID'], self.a.node_id())
        self.assertEqual(named['HostData']['OS'], h['OS'])
        self.a.stop()
        self.a.settings = (self.a.settings[0] + 'enable_debug = true', self.a.settings[1])
        self.a.configure()
        self.a.start(env=env).wait_api()
        shown = self.get('/v1/agent/host')['Environment']
        self.assertEqual(shown['MY_TOKEN'], '<redacted>')
        self.assertEqual(shown['A_URL'], '<redacted>')
        self.assertEqual(shown['PLAIN_THING'], 'shown')

    def test_profiles_are_refused(self):
        for target in ('/v1/agent/pprof/heap', '/v1/agent/pprof/profile?seconds=1'):
            status, _, body = http_get(self.a.http, target)
            self.assertEqual((status, body), (403, 'Permission denied'))

    def test_metrics_in_both_forms(self):
        m = wait_until('disks are known', lambda: (m := self.get('/v1/metrics')) and any(
            g['Name'] == 'nomad.client.host.disk.size' for g in m['Gauges']) and m)
        names = {g['Name'] for g in m['Gauges']}
        for name in ('nomad.client.host.cpu.idle', 'nomad.client.host.memory.total', 'nomad.client.uptime',
                     'nomad.client.allocations.running', 'nomad.client.unallocated.cpu', 'picket.heartbeats',
                     'picket.probes', 'picket.process.private_bytes', 'picket.process.descriptors', 'picket.log.dropped'):
            self.assertIn(name, names)
        self.assertEqual(m['Gauges'][0]['Labels']['node_id'], self.a.node_id())
        status, headers, text = http_get(self.a.http, '/v1/metrics?format=prometheus')
        self.assertEqual(status, 200)
        self.assertEqual(headers['content-type'], 'text/plain; version=0.0.4; charset=utf-8')
        seen = set()
        for line in text.splitlines():
            if line.startswith('# TYPE '):
                name = line.split()[2]
                self.assertNotIn(name, seen)  # one block for each
                seen.add(name)
            elif not line.startswith('#'):
                self.assertRegex(line, r'^[a-z_]+\{[a-z_]+="[^"]*"(,[a-z_]+="[^"]*")*\} [-+0-9.eE]+$')
        self.assertIn('nomad_client_host_cpu_idle', seen)
        self.assertIn('picket_heartbeats', seen)

    def test_prometheus_has_to_be_enabled(self):
        a = self.agent([]).start().wait_api()
        status, _, body = http_get(a.http, '/v1/metrics?format=prometheus')
        self.assertEqual((status, body), (415, 'Prometheus is not enabled'))
        self.assertEqual(http_get(a.http, '/v1/metrics?format=other')[0], 200)

    def test_one_name_is_explained(self):
        whole = self.get('/v1/agent/fingerprint')
        self.assertGreater(len(whole['Probes']), 5)
        for name in ('cpu.arch', 'kernel.name'):
            p, = self.get(f'/v1/agent/fingerprint?explain={name}')['Probes']
            self.assertEqual(list(p['Attributes']), [name])
            self.assertIn(name, p['Sources'])
            self.assertIsInstance(p['AgeMs'], int)
        p, = self.get('/v1/agent/fingerprint?explain=docker')['Probes']
        self.assertEqual(p['Name'], 'driver.docker')
        self.assertTrue(p['Checks'])
        p, = self.get('/v1/agent/fingerprint?explain=cpu')['Probes']
        self.assertGreater(len(p['Attributes']), 1)
        status, _, body = http_get(self.a.http, '/v1/agent/fingerprint?explain=dokcer')
        self.assertEqual(status, 404)
        self.assertIn('"docker"', body)

    def test_an_agent_without_servers_is_not_well(self):
        status, headers, body = http_get(self.a.http, '/v1/agent/health')
        self.assertEqual((status, json.loads(body)), (500, {'client': {'message': 'no known servers', 'ok': False}}))
        self.assertTrue(headers['content-type'].startswith('text/plain'))

    def test_options_that_may_be_secrets_are_not_shown(self):
        a = self.agent([], client='options { "docker.auth.token" = "hush" "picket.plain" = "shown" }').start().wait_api()
        text = http_get(a.http, '/v1/agent/self')[2]
        self.assertNotIn('hush', text)
        options = json.loads(text)['config']['Client']['Options']
        self.assertEqual(options, {'docker.auth.token': '<redacted>', 'picket.plain': 'shown'})


class LogStreams(ProgramCase):
    def setUp(self):
        self.a = self.agent([]).start().wait_api()

    def stream(self, query, port=None):
        s = Stream(port or self.a.http, query)
        self.addCleanup(s.close)
        return s

    def speak(self):
        """makes the agent write lines of level INFO"""
        self.a.proc.send_signal(signal.SIGHUP)

    def test_frames_and_heartbeats(self):
        s = self.stream('')
        self.assertEqual(s.reply.getheader('Content-Type'), 'application/json')
        wait_until('a heartbeat', lambda: {} in s.frames())
        self.speak()
        wait_until('the log', lambda: 'configuration' in s.lines())
        self.assertEqual({f['FileEvent'] for f in s.frames() if f}, {'log'})
        self.assertNotIn('[DEBUG]', s.lines())

    def test_plain_text(self):
        s = self.stream('plain=true')
        self.assertEqual(s.reply.getheader('Content-Type'), 'text/plain')
        self.speak()
        wait_until('the log', lambda: 'configuration' in s.raw())
        self.assertNotIn('{', s.raw().split('\n')[0][:1])

    def test_a_reader_has_a_level_and_a_form_of_its_own(self):
        deep = self.stream('log_level=DEBUG&log_json=true')
        high = self.stream('log_level=error')
        post(self.a.http, '/v1/client/metadata', {'Meta': {'a': '1'}})
        self.speak()
        wait_until('the log', lambda: 'configuration' in deep.lines())
        for line in deep.lines().splitlines():
            self.assertIn('@level', json.loads(line))
        wait_until('heartbeats', lambda: high.frames().count({}) >= 2)
        self.assertEqual(high.lines(), '')
        self.assertNotIn('[DEBUG]', self.a.log())

    def test_wrong_parameters(self):
        for query, text in (('log_level=zz', 'Unknown log level: zz'),
                            ('node_id=a&server_id=b', 'Cannot target node and server simultaneously')):
            status, _, body = http_get(self.a.http, '/v1/agent/monitor?' + query)
            self.assertEqual((status, body), (400, text))

    def test_a_reader_that_does_not_read_holds_nobody_up(self):
        c = socket.create_connection(('127.0.0.1', self.a.http))
        self.addCleanup(c.close)
        c.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        c.sendall(b'GET /v1/agent/monitor?log_level=trace&plain=true HTTP/1.1\r\nHost: x\r\n\r\n')
        value = 'x' * 60000
        for i in range(40):
            status, _, _ = post(self.a.http, '/v1/client/metadata', {'Meta': {f'k{i}': value}})
            self.assertEqual(status, 200)
            post(self.a.http, '/v1/client/metadata', {'Meta': {f'k{i}': None}})
            self.speak()
        self.assertEqual(get_json(self.a.http, '/v1/client/metadata')['Dynamic'], {})

    def test_the_server_has_one_too(self):
        s = self.server().start().wait()
        stream = self.stream('log_level=debug&plain=true', s.http)
        a = self.agent([s]).start()
        wait_until('the log', lambda: 'node' in stream.raw())
        self.ready(s, a.node_id())


class ThroughAServer(ProgramCase):
    """the server asks the agent over the agent's own connection"""

    def setUp(self):
        self.s = self.server().start().wait()
        self.a = self.agent([self.s], client='meta { zone = "z" }').start().wait_api()
        self.node_id = self.a.node_id()
        self.ready(self.s, self.node_id)

    def test_statistics(self):
        s = get_json(self.s.http, f'/v1/client/stats?node_id={self.node_id}')
        AgentAlone.check_stats(self, s)

    def test_metadata_reaches_the_stored_node(self):
        status, _, body = post(self.s.http, '/v1/client/metadata', {'NodeID': self.node_id, 'Meta': {'via': 'server', 'zone': None}})
        self.assertEqual((status, json.loads(body)['Dynamic']), (200, {'via': 'server', 'zone': None}))
        self.assertEqual(get_json(self.a.http, '/v1/client/metadata')['Dynamic'], {'via': 'server', 'zone': None})
        meta = wait_until('the node is registered anew', lambda: (m := self.s.node(self.node_id)['Meta']).get('via') and m, 40)
        self.assertNotIn('zone', meta)

    def test_metadata_that_is_refused_says_why(self):
        status, _, body = post(self.s.http, '/v1/client/metadata', {'NodeID': self.node_id, 'Meta': {'a b': '1'}})
        self.assertEqual((status, body), (400, '"a b" is invalid; metadata keys must be valid dotted hcl identifiers'))

    def test_the_agent_forwards_what_is_about_others(self):
        b = self.agent([self.s]).start().wait_api()
        self.ready(self.s, b.node_id())
        stats = get_json(self.a.http, f'/v1/client/stats?node_id={b.node_id()}')
        self.assertGreater(stats['Memory']['Total'], 0)
        status, _, _ = http_get(self.a.http, f'/v1/client/stats?node_id={UNKNOWN}')
        self.assertIn(status, (404, 500))

    def test_health_tells_when_no_server_hears_the_node(self):
        self.assertEqual(http_get(self.a.http, '/v1/agent/health')[0], 200)
        self.s.kill()
        status, body = wait_until('it is not well any more', lambda: (r := http_get(self.a.http, '/v1/agent/health'))[0] != 200
                                  and (r[0], json.loads(r[2])), 60)
        self.assertEqual(status, 500)
        self.assertFalse(body['client']['ok'])
        self.assertIn('no heartbeat was accepted for', body['client']['message'])


if __name__ == '__main__':
    unittest.main()
