"""picket-probe by hand and as the agent runs it: flags, records, JSON, rights."""
import json
import os
import socket
import struct
import subprocess
import tempfile
import unittest

BIN = os.environ.get('PICKET_BIN', 'build/bin')
PROBE = os.path.join(BIN, 'picket-probe')
HOSTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'data', 'hosts')
FAST = ['arch', 'cgroup', 'cpu', 'host', 'memory', 'network', 'signal', 'version']


def run(*args, stdin=b'', env=None):
    return subprocess.run([PROBE, *args], input=stdin, capture_output=True, timeout=60, env=env)


def results(*args, **kw):
    p = run('-json', *args, **kw)
    assert p.returncode == 0, p.stderr
    return {r['probe']: r for r in json.loads(p.stdout)}


class Flags(unittest.TestCase):
    def test_list_names_every_row(self):
        p = run('-list')
        self.assertEqual(p.returncode, 0)
        names = [line.split()[0] for line in p.stdout.decode().splitlines()]
        for name in FAST + ['storage', 'volumes', 'driver.raw_exec', 'driver.docker']:
            self.assertIn(name, names)

    def test_unknown_name_suggests_one(self):
        p = run('netwrok')
        self.assertEqual(p.returncode, 2)
        self.assertIn('did you mean "network"?', p.stderr.decode())

    def test_wrong_flags_show_the_usage(self):
        for args in (['-nope'], ['-conf'], ['-resolve', 'x']):
            p = run(*args)
            self.assertEqual(p.returncode, 2, args)
            self.assertIn('usage:', p.stderr.decode())

    def test_bad_configuration_is_named(self):
        for stdin in (b'\x81\xa9alloc_dir\xc3', b'{"alloc_dir": 7}', b'\xc1', b'{'):
            p = run('-conf', '-', 'arch', stdin=stdin)
            self.assertEqual(p.returncode, 1, stdin)
            self.assertIn('configuration', p.stderr.decode())
            self.assertEqual(p.stdout, b'')
        p = run('-conf', '/nonexistent', 'arch')
        self.assertEqual(p.returncode, 1)
        self.assertIn('No such file', p.stderr.decode())

    def test_resolve_prints_addresses(self):
        p = run('-resolve', '127.0.0.1', '4647')
        self.assertEqual((p.returncode, p.stdout), (0, b'127.0.0.1:4647\n'))
        p = run('-resolve', '::1', '4647')
        self.assertEqual((p.returncode, p.stdout), (0, b'[::1]:4647\n'))
        p = run('-resolve', 'nope.invalid', '4647')
        self.assertEqual(p.returncode, 1)
        self.assertIn('nope.invalid', p.stderr.decode())


class OddJobs(unittest.TestCase):
    def test_user_by_name_and_by_number(self):
        want = {'Found': True, 'GID': 0, 'Home': '/root', 'Name': 'root', 'UID': 0}
        for who in ('root', '0'):
            p = run('-user', who)
            self.assertEqual((p.returncode, json.loads(p.stdout)), (0, want))
        p = run('-user', 'nobody-of-that-name')
        self.assertEqual((p.returncode, json.loads(p.stdout)['Found']), (0, False))
        p = run('-user', '99999999999')
        self.assertEqual((p.returncode, p.stdout), (1, b''))
        self.assertIn('no number of a user', p.stderr.decode())

    def test_delete_stays_below_the_folder(self):
        with tempfile.TemporaryDirectory() as d:
            os.makedirs(d + '/allocs/one/two')
            os.makedirs(d + '/outside')
            os.symlink(d + '/outside', d + '/allocs/one/link')
            for path in (d + '/outside', d + '/allocs/../outside', d + '/allocs', 'one'):
                p = run('-delete', path, '-below', d + '/allocs')
                self.assertEqual((p.returncode, p.stdout), (1, b''), path)
            p = run('-delete', d + '/allocs/one', '-below', d + '/allocs')
            self.assertEqual((p.returncode, json.loads(p.stdout)), (0, {'Deleted': 3, 'Kept': None, 'KeptCount': 0}))
            self.assertEqual(sorted(os.listdir(d)), ['allocs', 'outside'])
            self.assertEqual(os.listdir(d + '/allocs'), [])

    def test_jobs_do_not_take_other_arguments(self):
        for args in (['-user'], ['-user', 'a', 'b'], ['-delete', '/a'], ['-delete', '/a', '-below'], ['-resolve', 'x', '1', 'y']):
            p = run(*args)
            self.assertEqual(p.returncode, 2, args)
            self.assertIn('-delete PATH -below DIR', p.stderr.decode())

    def test_delete_wants_its_second_flag(self):
        p = run('-delete', '/nonexistent/a', '/nonexistent', '/nonexistent')
        self.assertEqual(p.returncode, 1)
        self.assertIn('goes together with -below', p.stderr.decode())


class Results(unittest.TestCase):
    def test_json_has_the_rows_asked_for_in_table_order(self):
        p = run('-json', 'memory', 'arch')
        self.assertEqual([r['probe'] for r in json.loads(p.stdout)], ['arch', 'memory'])

    def test_every_row_answers_on_this_host(self):
        got = results()
        for name in FAST + ['storage', 'volumes', 'driver.raw_exec', 'driver.docker']:
            self.assertIn(name, got)
        self.assertTrue(all(got[n]['ok'] for n in FAST), got)
        self.assertEqual(got['version']['attributes']['nomad.service_discovery'], 'true')

    def test_root_reads_another_host(self):
        got = results('-root', os.path.join(HOSTS, 'numa-rocky'), 'host', 'cpu')
        self.assertEqual(got['host']['attributes']['os.name'], 'rocky')
        self.assertEqual(got['cpu']['attributes']['numa.node.count'], '2')

    def test_configuration_as_json(self):
        conf = {'options': {'driver.raw_exec.enable': 'true', 'fingerprint.denylist': 'memory, nomad'},
                'memory_total_mb': 5, 'volumes': [{'name': 'v', 'path': '/'}]}
        got = results('-conf', '-', stdin=json.dumps(conf).encode())
        self.assertTrue(got['driver.raw_exec']['drivers']['raw_exec']['Detected'])
        self.assertNotIn('attributes', got['memory'])
        self.assertEqual(got['memory']['whys'][0]['Found'], 'fingerprint.denylist = "memory, nomad"')
        self.assertNotIn('attributes', got['version'])
        self.assertEqual(got['volumes']['host_volumes']['v']['Path'], '/')

    def test_records_are_framed(self):
        p = run('arch', 'signal', 'memory')
        self.assertEqual(p.returncode, 0)
        names, at = [], 0
        while at < len(p.stdout):
            n, = struct.unpack_from('>I', p.stdout, at)
            record = p.stdout[at + 4:at + 4 + n]
            self.assertEqual(len(record), n)
            names += [name for name in ('arch', 'signal', 'memory') if b'\xa5probe' + bytes([0xa0 + len(name)])
                      + name.encode() in record]
            at += 4 + n
        self.assertEqual(names, ['arch', 'memory', 'signal'])

    def test_steps_are_told_to_the_parent_only(self):
        conf = b'{"volumes": [{"name": "v", "path": "/"}]}'
        self.assertIn('host_volume "v": stat /', run('-conf', '-', 'volumes', stdin=conf).stderr.decode())
        self.assertEqual(run('volumes').stderr, b'')

    def test_a_reader_that_goes_away_ends_it(self):
        with subprocess.Popen([PROBE], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as p:
            p.stdout.close()
            self.assertNotEqual(p.wait(30), None)


class Rights(unittest.TestCase):
    """What a probe may do is read while one hangs in a socket that nobody answers."""

    def status_of(self, *rows):
        with tempfile.TemporaryDirectory() as d:
            path = os.path.join(d, 's')
            with socket.socket(socket.AF_UNIX) as s:
                s.bind(path)
                s.listen(4)
                env = dict(os.environ, DOCKER_HOST='unix://' + path)
                with subprocess.Popen([PROBE, *rows], stdout=subprocess.DEVNULL, env=env) as p:
                    c, _ = s.accept()
                    c.settimeout(10)
                    c2, _ = s.accept()
                    c2.recv(100)
                    with open('/proc/%d/status' % p.pid) as f:
                        text = f.read()
                    p.kill()
                    c.close()
                    c2.close()
        return dict(line.split(':\t', 1) for line in text.splitlines() if ':\t' in line)

    def test_only_the_capabilities_of_its_rows_are_left(self):
        st = self.status_of('driver.docker')
        allowed = 1 << 1  # CAP_DAC_OVERRIDE
        for key in ('CapPrm', 'CapEff', 'CapInh', 'CapAmb'):
            self.assertEqual(int(st[key], 16) & ~allowed, 0, key)
        self.assertEqual(st['NoNewPrivs'], '1')


if __name__ == '__main__':
    unittest.main()
