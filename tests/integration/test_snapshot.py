"""Snapshots of a running server: taken, looked at, restored, refused; nodes that are forgotten."""
import base64
import gzip
import hashlib
import http.client
import io
import json
import os
import random
import signal
import subprocess
import tarfile
import threading
import time
import unittest
import uuid

from programs import BIN, ProgramCase, get_json, http_get
from wire import Rpc, beat, fake_node, register, wait_until

KILLS = int(os.environ.get('SNAPSHOT_KILLS', '20'))
NODES = int(os.environ.get('SNAPSHOT_NODES', '1000'))
QUICK = 'min_heartbeat_ttl = "1s" heartbeat_grace = "1s" failover_heartbeat_ttl = "3s"'


def snapshot(port):
    c = http.client.HTTPConnection('127.0.0.1', port, timeout=120)
    c.request('GET', '/v1/operator/snapshot')
    r = c.getresponse()
    body = r.read()
    c.close()
    assert r.status == 200, (r.status, body)
    return body, {k.lower(): v for k, v in r.getheaders()}


def restore(port, body, timeout=120):
    c = http.client.HTTPConnection('127.0.0.1', port, timeout=timeout)
    try:
        c.request('PUT', '/v1/operator/snapshot', body)
        r = c.getresponse()
        return r.status, r.read().decode()
    finally:
        c.close()


def members(body):
    with tarfile.open(fileobj=io.BytesIO(body)) as t:
        return [(m.name, t.extractfile(m).read()) for m in t]


def archive(parts, sums=True):
    """an archive of (name, bytes), with right sums in the last one"""
    out = io.BytesIO()
    parts = list(parts)
    if sums:
        lines = ''.join(f'{hashlib.sha256(b).hexdigest()}  {n}\n' for n, b in parts[:2])
        parts[2:] = [('SHA256SUMS', lines.encode())]
    with tarfile.open(fileobj=out, mode='w:gz', format=tarfile.USTAR_FORMAT) as t:
        for name, data in parts:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            t.addfile(info, io.BytesIO(data))
    return out.getvalue()


class SnapshotCase(ProgramCase):
    def fill(self, server, n):
        nodes = [fake_node(str(uuid.uuid4()), str(uuid.uuid4())) for _ in range(n)]
        with Rpc(server.rpc) as r:
            for node in nodes:
                register(r, node)
        return nodes

    def state(self, server):
        status, headers, body = http_get(server.http, '/v1/nodes?resources=true', timeout=60)
        self.assertEqual(status, 200)
        return body, int(headers['x-nomad-index'])

    def command(self, *args):
        return subprocess.run([os.path.join(BIN, 'picket-server'), 'snapshot', *args], capture_output=True, text=True,
                              timeout=120, check=False)


class Taking(SnapshotCase):
    def test_outer_form_is_nomads_and_the_digest_is_right(self):
        s = self.server().start().wait()
        self.fill(s, 3)
        body, headers = snapshot(s.http)
        self.assertEqual(headers['content-type'], 'application/x-gzip')
        want = base64.b64encode(hashlib.sha256(body).digest()).decode()
        self.assertEqual(headers['digest'], 'sha-256=' + want)
        parts = dict(members(body))
        self.assertEqual(list(parts), ['meta.json', 'state.bin', 'SHA256SUMS'])
        meta = json.loads(parts['meta.json'])
        self.assertEqual((meta['Format'], meta['Nodes'], meta['Index'], meta['Size']),
                         ('picket-server', 3, 3, len(parts['state.bin'])))
        self.assertEqual(os.listdir(os.path.join(s.data, 'server')).count('snapshot'), 0)

    def test_under_writes_it_is_of_one_index(self):
        s = self.server().start().wait()
        known = {n['ID'] for n in self.fill(s, 200)}
        stop = threading.Event()
        written = []

        def write():
            with Rpc(s.rpc) as r:
                while not stop.is_set():
                    node = fake_node(str(uuid.uuid4()), str(uuid.uuid4()))
                    register(r, node)
                    written.append(node['ID'])

        t = threading.Thread(target=write)
        t.start()
        try:
            for _ in range(5):
                before = known | set(written)
                body, _ = snapshot(s.http)
                meta = json.loads(dict(members(body))['meta.json'])
                other = self.server().start().wait()
                self.assertEqual(restore(other.http, body), (200, ''))
                got = other.nodes()
                self.assertLessEqual(before, {n['ID'] for n in got})
                # each registration is one index: so many nodes as the index says, none above it
                self.assertEqual(len(got), meta['Index'])
                self.assertEqual(max(n['ModifyIndex'] for n in got), meta['Index'])
                other.stop()
        finally:
            stop.set()
            t.join()


class Restoring(SnapshotCase):
    def test_state_is_that_of_the_file_and_indexes_go_on(self):
        s = self.server().start().wait()
        self.fill(s, NODES)
        old, index = self.state(s)
        body, _ = snapshot(s.http)
        later = self.fill(s, 10)
        _, now = self.state(s)
        self.assertGreater(now, index)
        self.assertEqual(restore(s.http, body), (200, ''))
        self.assertEqual(self.state(s), (old, now + 1))
        # agents of nodes that are not there any more hear so
        with Rpc(s.rpc) as r, self.assertRaisesRegex(Exception, 'node not found'):
            beat(r, later[0])
        s.stop()
        s.start().wait()
        self.assertEqual(self.state(s), (old, now + 1))

    def test_an_empty_server_takes_a_large_one(self):
        s = self.server().start().wait()
        nodes = self.fill(s, NODES)
        old, _ = self.state(s)
        body, _ = snapshot(s.http)
        other = self.server().start().wait()
        self.assertEqual(restore(other.http, body), (200, ''))
        self.assertEqual(self.state(other)[0], old)
        with Rpc(other.rpc) as r:
            beat(r, nodes[0])
        self.assertEqual(other.node(nodes[0]['ID'])['Status'], 'ready')

    def test_blocking_readers_wake(self):
        s = self.server().start().wait()
        self.fill(s, 2)
        body, _ = snapshot(s.http)
        _, index = self.state(s)
        got = []
        t = threading.Thread(target=lambda: got.append(http_get(s.http, f'/v1/nodes?index={index}&wait=60s', timeout=90)))
        t.start()
        time.sleep(0.3)
        restore(s.http, body)
        t.join()
        self.assertEqual(int(got[0][1]['x-nomad-index']), index + 1)

    def test_an_upload_that_breaks_off_changes_nothing(self):
        s = self.server().start().wait()
        self.fill(s, 50)
        before = self.state(s)
        body, _ = snapshot(s.http)
        c = http.client.HTTPConnection('127.0.0.1', s.http, timeout=20)
        c.putrequest('PUT', '/v1/operator/snapshot')
        c.putheader('Content-Length', str(len(body)))
        c.endheaders()
        c.send(body[:len(body) // 2])
        wait_until('upload has begun', lambda: 'API write' in s.log())
        c.close()
        wait_until('it is noticed', lambda: 'broke off' in s.log())
        self.assertEqual(self.state(s), before)
        self.assertFalse([f for f in os.listdir(os.path.join(s.data, 'server')) if f.startswith('snapshot-')])
        self.assertEqual(restore(s.http, body)[0], 200)

    def test_leftovers_of_a_crash_go_at_start(self):
        s = self.server()
        folder = os.path.join(s.data, 'server')
        os.makedirs(folder)
        left = os.path.join(folder, 'snapshot-abc123')
        with open(left, 'wb') as f:
            f.write(b'x')
        s.start().wait()
        self.assertFalse(os.path.exists(left))

    def test_killed_in_the_middle_it_is_the_old_or_the_new_state(self):
        s = self.server().start().wait()
        self.fill(s, 300)
        one, _ = snapshot(s.http)
        self.fill(s, 100)
        two, _ = snapshot(s.http)
        bodies = (one, two)
        want = []
        for b in bodies:
            self.assertEqual(restore(s.http, b)[0], 200)
            want.append(self.state(s)[0])
        last, seen = 1, self.state(s)[1]
        for _ in range(KILLS):
            new = 1 - last
            result = []

            def put(body=bodies[new], result=result):
                try:
                    result.append(restore(s.http, body)[0])
                except (OSError, http.client.HTTPException):
                    pass

            t = threading.Thread(target=put)
            t.start()
            time.sleep(random.random() * 0.06)
            s.kill()
            t.join()
            s.start().wait()
            state, index = self.state(s)
            self.assertIn(state, want)
            if result == [200]:
                self.assertEqual(state, want[new])
            last = want.index(state)
            self.assertGreaterEqual(index, seen)
            seen = index


    def test_under_writes_what_is_answered_later_stays(self):
        s = self.server().start().wait()
        self.fill(s, 300)
        body, _ = snapshot(s.http)
        kept = {n['ID'] for n in s.nodes()}
        stop = threading.Event()
        written = {}

        def write():
            with Rpc(s.rpc) as r:
                while not stop.is_set():
                    node = fake_node(str(uuid.uuid4()), str(uuid.uuid4()))
                    written[node['ID']] = register(r, node)['Index']

        threads = [threading.Thread(target=write) for _ in range(3)]
        for t in threads:
            t.start()
        try:
            for _ in range(3):
                had = len(written)
                wait_until('there are writes', lambda had=had: len(written) > had + 20)
                self.assertEqual(restore(s.http, body), (200, ''))
            had = len(written)
            wait_until('and more', lambda: len(written) > had + 20)
        finally:
            stop.set()
            for t in threads:
                t.join()
        restored = int(s.log().rsplit('snapshot restored', 1)[1].split(' index=')[1].split()[0])
        self.assertNotIn(restored, written.values())
        self.assertEqual(len(set(written.values())), len(written))
        want = kept | {i for i, index in written.items() if index > restored}
        self.assertEqual({n['ID'] for n in s.nodes()}, want)
        s.kill()
        s.start().wait()
        self.assertEqual({n['ID'] for n in s.nodes()}, want)

    def test_nodes_get_the_grace_of_a_start_and_then_deadlines(self):
        s = self.server(server=QUICK).start().wait()
        silent, alive = self.fill(s, 2)
        with Rpc(s.rpc) as r:
            for n in (silent, alive):
                beat(r, n)
            body, _ = snapshot(s.http)
            self.fill(s, 1)  # is not there any more afterwards, nor its deadline
            wait_until('both are down', lambda: [s.node(n['ID'])['Status'] for n in (silent, alive)] == ['down'] * 2)
            self.assertEqual(restore(s.http, body), (200, ''))
            back = time.monotonic()
            self.assertEqual({n['Status'] for n in s.nodes()}, {'ready'})

            def is_down():
                beat(r, alive)
                return s.node(silent['ID'])['Status'] == 'down'

            wait_until('the silent one is down', is_down)
            self.assertGreater(time.monotonic() - back, 2)
        self.assertEqual(s.node(silent['ID'])['Events'][-1]['Message'], 'Node heartbeat missed')
        self.assertEqual(s.node(alive['ID'])['Status'], 'ready')
        self.assertEqual(len(s.nodes()), 2)

    def test_index_of_a_node_does_not_go_back_by_a_restart(self):
        s = self.server().start().wait()
        node = self.fill(s, 1)[0]
        body, _ = snapshot(s.http)
        self.fill(s, 5)
        self.assertEqual(restore(s.http, body), (200, ''))

        def index():
            return int(http_get(s.http, '/v1/node/' + node['ID'])[1]['x-nomad-index'])

        self.assertEqual(index(), 7)
        for end in (s.kill, s.stop):
            end()
            s.start().wait()
            self.assertEqual(index(), 7)
            self.fill(s, 1)
        self.assertEqual(index(), 7)

    def test_others_are_refused_meanwhile(self):
        s = self.server().start().wait()
        self.fill(s, 20)
        body, _ = snapshot(s.http)
        c = http.client.HTTPConnection('127.0.0.1', s.http, timeout=20)
        c.putrequest('PUT', '/v1/operator/snapshot')
        c.putheader('Content-Length', str(len(body)))
        c.endheaders()
        c.send(body[:100])
        wait_until('it is under way', lambda: 'API write' in s.log())
        self.assertEqual(restore(s.http, body)[0], 503)
        self.assertEqual(snapshot(s.http)[0][:2], body[:2])
        self.assertEqual(http_get(s.http, '/v1/system/gc', 'PUT')[0], 200)
        self.fill(s, 3)
        c.send(body[100:])
        self.assertEqual(c.getresponse().status, 200)
        c.close()
        self.assertEqual(len(s.nodes()), 20)


class Refusing(SnapshotCase):
    def test_bad_archives_are_named_and_change_nothing(self):
        s = self.server().start().wait()
        self.fill(s, 20)
        body, _ = snapshot(s.http)
        before = self.state(s)
        meta, state, sums = members(body)
        fields = json.loads(meta[1])

        def with_meta(**change):
            return archive([('meta.json', json.dumps({**fields, **change}).encode()), state, sums])

        def flipped(part):
            data = bytearray(part[1])
            data[len(data) // 2] ^= 4
            return part[0], bytes(data)

        nomad = {k: v for k, v in fields.items() if k not in ('Format', 'FormatVersion', 'Nodes', 'Release')}
        cases = {
            'empty': (b'', 'the archive is empty'),
            'no gzip': (b'something else', 'not a snapshot'),
            'cut': (body[:len(body) // 2], 'unexpected EOF'),
            'tail': (body + b'x', 'behind the end'),
            'meta flipped': (archive([flipped(meta), state, sums], False), ''),
            'state flipped': (archive([meta, flipped(state), sums], False), 'checksum'),
            'state flipped, right sums': (archive([meta, flipped(state)]), 'state.bin'),
            'wrong sum': (archive([meta, state, ('SHA256SUMS', (b'1' if sums[1][:1] == b'0' else b'0') + sums[1][1:])], False), 'checksum'),
            'no sums': (archive([meta, state], False), 'SHA256SUMS is missing'),
            'path': (archive([('../../etc/passwd', b'x')], False), 'unexpected file "../../etc/passwd"'),
            'order': (archive([state, meta], False), 'unexpected file "state.bin"'),
            'count too large': (with_meta(Nodes=10**15), 'more than the limit'),
            'count wrong': (with_meta(Nodes=21), 'not what meta.json says'),
            'count smaller': (with_meta(Nodes=3), 'more nodes than the 3'),
            'size wrong': (with_meta(Size=5), 'meta.json says 5'),
            'newer': (with_meta(FormatVersion=2), 'newer picket-server'),
            'other program': (with_meta(Format='x'), 'not of picket-server'),
            'nomad': (archive([('meta.json', json.dumps(nomad).encode()), state]), 'snapshot of a Nomad server'),
            'bomb': (gzip.compress(b'\0' * 64 * 1024 * 1024), 'meta.json is missing'),
            'bomb of a state': (archive([('meta.json', json.dumps({**fields, 'Size': 2**26}).encode()), ('state.bin', b'\0' * 2**26)]),
                                'state.bin is not of picket-server'),
            'bomb behind the end': (gzip.compress(gzip.decompress(body) + b'\0' * 2**26), 'inflates to more than'),
        }
        for name, (bad, text) in cases.items():
            with self.subTest(name):
                status, answer = restore(s.http, bad)
                self.assertEqual(status, 500, answer)
                self.assertIn('failed to restore from snapshot: ', answer)
                self.assertIn(text, answer)
                self.assertEqual(self.state(s), before)

    def test_what_is_too_long_is_refused_at_its_head(self):
        s = self.server().start().wait()
        c = http.client.HTTPConnection('127.0.0.1', s.http, timeout=20)
        c.putrequest('PUT', '/v1/operator/snapshot')
        c.putheader('Content-Length', str(2**40))
        c.endheaders()
        self.assertEqual(c.getresponse().status, 413)
        c.close()


class Command(SnapshotCase):
    def test_save_inspect_restore(self):
        s = self.server().start().wait()
        self.fill(s, 5)
        before = self.state(s)
        path = os.path.join(s.dir, 'a.snap')
        config = '-config=' + s.config_path
        r = self.command('save', config, path)
        self.assertEqual((r.returncode, r.stderr), (0, ''))
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)
        r = self.command('save', config, path)
        self.assertEqual(r.returncode, 1)
        self.assertIn('exists; -force replaces it', r.stderr)
        r = self.command('save', '-force', config, path)
        self.assertEqual((r.returncode, r.stderr), (0, ''))
        r = self.command('inspect', '-json', path)
        self.assertEqual(json.loads(r.stdout)['ByStatus']['initializing'], 5)
        self.assertIn('Checksums  = ok', self.command('inspect', path).stdout)
        self.fill(s, 1)
        r = self.command('restore', f'-address=http://127.0.0.1:{s.http}', path)
        self.assertEqual((r.returncode, r.stdout), (0, 'Snapshot restored\n'), r.stderr)
        self.assertEqual(self.state(s)[0], before[0])

    def test_errors_are_said(self):
        s = self.server().start().wait()
        path = os.path.join(s.dir, 'a.snap')
        with open(path, 'wb') as f:
            f.write(b'nothing')
        address = f'-address=127.0.0.1:{s.http}'
        self.assertIn('not a snapshot', self.command('inspect', path).stderr)
        self.assertIn('the server answers 500 (failed to restore', self.command('restore', address, path).stderr)
        self.assertIn('has no TLS', self.command('restore', '-address=https://x:1', path).stderr)
        s.stop()
        r = self.command('save', address, path + '2')
        self.assertEqual(r.returncode, 1)
        self.assertIn('no picket-server answers at', r.stderr)
        self.assertEqual([f for f in os.listdir(s.dir) if 'tmp' in f], [])
        self.assertEqual(self.command('-h').returncode, 0)
        for args, text in (((), 'save, inspect or restore?'), (('frob', 'f'), '"frob" is none of save, inspect, restore'),
                           (('save',), 'FILE is missing'), (('save', 'a', 'b'), 'what is "b"?'),
                           (('-x', 'save', 'f'), 'flag provided but not defined: -x')):
            r = self.command(*args)
            self.assertEqual((r.returncode, r.stdout), (1, ''))
            self.assertIn('Error: ', r.stderr)
            self.assertIn(text, r.stderr)


class Collecting(SnapshotCase):
    def test_forced_collection_forgets_down_nodes_only(self):
        s = self.server().start().wait()
        nodes = self.fill(s, 250)
        with Rpc(s.rpc) as r:
            for n in nodes[:240]:
                beat(r, n, 'down')
        status, _, body = http_get(s.http, '/v1/system/gc', 'PUT')
        self.assertEqual((status, body), (200, ''))
        wait_until('they are gone', lambda: len(s.nodes()) == 10)
        self.assertIn('nodes that were down are forgotten nodes=240', s.log())
        status, _, body = http_get(s.http, '/v1/system/reconcile/summaries', 'PUT')
        self.assertEqual((status, body), (200, ''))

    def test_a_running_agent_that_was_collected_registers_again(self):
        s = self.server(server=QUICK).start().wait()
        a = self.agent([s]).start()
        wait_until('agent is ready', lambda: [n['Status'] for n in s.nodes()] == ['ready'], seconds=60)
        old = s.nodes()[0]
        a.proc.send_signal(signal.SIGSTOP)
        try:
            wait_until('it is down', lambda: s.nodes()[0]['Status'] == 'down', seconds=60)
            self.assertEqual(http_get(s.http, '/v1/system/gc', 'PUT')[0], 200)
            wait_until('it is forgotten', lambda: s.nodes() == [])
        finally:
            a.proc.send_signal(signal.SIGCONT)
        wait_until('it is back', lambda: [n['Status'] for n in s.nodes()] == ['ready'], seconds=60)
        self.assertEqual(s.nodes()[0]['ID'], old['ID'])
        self.assertEqual(s.node(old['ID'])['Events'][0]['Message'], 'Node registered')
        a.stop()

    def test_an_agent_that_was_forgotten_registers_again(self):
        s = self.server().start().wait()
        a = self.agent([s]).start()
        wait_until('agent is ready', lambda: [n for n in s.nodes() if n['Status'] == 'ready'])
        old = s.nodes()[0]
        body, _ = snapshot(self.server().start().wait().http)
        self.assertEqual(restore(s.http, body), (200, ''))
        self.assertEqual(s.nodes(), [])
        wait_until('it is back', lambda: [n for n in s.nodes() if n['Status'] == 'ready'], seconds=60)
        self.assertEqual(s.nodes()[0]['ID'], old['ID'])
        a.stop()


if __name__ == '__main__':
    unittest.main()
