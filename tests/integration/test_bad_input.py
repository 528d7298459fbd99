"""Bad input: each a clear error that names what was wrong and where, and nothing is lost."""
import json
import os
import socket
import sqlite3
import struct
import subprocess

from programs import BIN, ProgramCase, SharedServer, get_json, http_get, run_cli
from wire import Rpc, RpcError, fake_node, pack, register, wait_until

A = SharedServer.NODE


class HttpErrors(SharedServer, ProgramCase):
    ROWS = [
        # method, target, status, body
        ('POST', '/v1/nodes', 405, 'Invalid method'),
        ('DELETE', '/v1/node/' + A['ID'], 405, 'Invalid method'),
        ('GET', '/v1/node/99999999-0000-0000-0000-000000000001', 404, 'node not found'),
        ('GET', '/v1/node/nope', 500, 'node lookup failed: index error: UUID must be 36 characters'),
        ('GET', '/v1/node/', 500, 'missing node ID'),
        ('GET', '/v1/node/aaaa-aaa-0000-0000-0000-000000000001', 500,
         'node lookup failed: index error: UUID should have maximum of 4 "-"; got 5'),
        ('GET', '/v1/node/aaaaaaaa00000-0000-0000-000000000001', 500,
         'node lookup failed: index error: Input (without hyphens) must be even length'),
        ('GET', '/v1/node/zaaaaaaa-0000-0000-0000-000000000001', 500,
         "node lookup failed: index error: Invalid UUID: encoding/hex: invalid byte: U+007A 'z'"),
        ('GET', '/v1/nodes?prefix=abc', 500, 'node lookup failed: index error: Input (without hyphens) must be even length'),
        ('GET', '/v1/nodes?prefix=zz', 500,
         "node lookup failed: index error: Invalid UUID: encoding/hex: invalid byte: U+007A 'z'"),
        ('GET', '/v1/nodes?prefix=' + 'ab' * 19, 500,
         'node lookup failed: index error: Invalid UUID length. UUID have 36 characters; got 38'),
        ('GET', '/v1/nodes?index=-1', 400, 'Invalid index'),
        ('GET', '/v1/nodes?index=1&wait=5', 400, 'Invalid wait time'),
        ('GET', '/v1/nodes?stale=maybe', 400, 'Expect `true` or `false` for `stale` query string parameter'),
        ('GET', '/v1/nodes?resources=maybe', 400,
         'Failed to parse node list fields: Failed to parse value of "resources" (maybe) as a bool: '
         'strconv.ParseBool: parsing "maybe": invalid syntax'),
        ('GET', '/v1/nodes?region=mars', 500, 'No path to region'),
        ('GET', '/v1/nope', 404, ''),
        ('GET', '/v1/nodes/', 404, ''),
        ('GET', '/v1/node/99999999-0000-0000-0000-000000000001/allocations', 200, '[]'),
        ('GET', '/v1/node/nope/allocations', 200, '[]'),
    ]

    def test_every_row_of_the_error_table(self):
        for method, target, status, body in self.ROWS:
            with self.subTest(f'{method} {target}'):
                got = http_get(self.srv.http, target, method)
                self.assertEqual((got[0], got[2]), (status, body))
                if status >= 400 and body:
                    self.assertEqual(got[1]['content-type'], 'text/plain; charset=utf-8')

    def test_not_found_carries_the_index(self):
        headers = http_get(self.srv.http, '/v1/node/99999999-0000-0000-0000-000000000001')[1]
        self.assertEqual(headers['x-nomad-knownleader'], 'true')
        self.assertGreater(int(headers['x-nomad-index']), 0)

    def test_what_is_not_there_yet_says_so(self):
        for method, target in (('PUT', f"/v1/node/{A['ID']}/drain"), ('POST', '/v1/jobs'),
                               ('PUT', f"/v1/node/{A['ID']}/eligibility")):
            status, _, body = http_get(self.srv.http, target, method, '{}')
            self.assertEqual(status, 501, target)
            self.assertGreater(len(body), 20, target)
        self.assertEqual(http_get(self.srv.http, '/v1/acl/bootstrap', 'POST')[::2], (400, 'ACL support disabled'))

    def raw(self, data, seconds=5):
        """sends bytes, returns what comes back until the server closes or falls silent"""
        s = socket.create_connection(('127.0.0.1', self.srv.http), seconds)
        self.addCleanup(s.close)
        s.sendall(data)
        out = b''
        try:
            while chunk := s.recv(65536):
                out += chunk
        except (socket.timeout, ConnectionResetError):
            pass
        return out

    def test_broken_http_is_answered_and_closed(self):
        host = b'Host: x\r\n'
        for name, data, code in [
                ('garbage', b'\x16\x03\x01\x02\x00\x01\x00\r\n\r\n', b'400'),
                ('no host', b'GET /v1/nodes HTTP/1.1\r\n\r\n', b'400'),
                ('both lengths', b'POST /v1/nodes HTTP/1.1\r\n' + host +
                 b'Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n', b'400'),
                ('long header', b'GET /v1/nodes HTTP/1.1\r\n' + host + b'X: ' + b'a' * 40000 + b'\r\n\r\n', b'431'),
                ('long body', b'PUT /v1/nodes HTTP/1.1\r\n' + host + b'Content-Length: 9999999999\r\n\r\n', b'413')]:
            with self.subTest(name):
                self.assertIn(code, self.raw(data).split(b'\r\n')[0])
        self.assertEqual(len(self.srv.nodes()), 1)

    def test_pipelined_requests_are_answered_in_order(self):
        one = b'GET /v1/status/leader HTTP/1.1\r\nHost: x\r\n\r\n'
        two = b'GET /v1/regions HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'
        out = self.raw(one + two)
        self.assertEqual(out.count(b'HTTP/1.1 200'), 2)
        self.assertLess(out.index(b'127.0.0.1:'), out.index(b'global'))


class RpcAbuse(ProgramCase):
    def setUp(self):
        self.srv = self.server(limits='rpc_handshake_timeout = "1s"').start().wait()

    def closed(self, data, seconds=5):
        """whether the server closes the connection without another word"""
        s = socket.create_connection(('127.0.0.1', self.srv.rpc), seconds)
        self.addCleanup(s.close)
        s.sendall(data)
        s.settimeout(seconds)
        try:
            while s.recv(4096):
                pass
            return True
        except ConnectionResetError:
            return True
        except socket.timeout:
            return False

    def test_wrong_first_bytes_are_closed(self):
        for first in (b'G', b'\x00', b'\x04', b'\xff'):
            self.assertTrue(self.closed(first + b'ET / HTTP/1.1\r\n\r\n'), first)

    def test_yamux_violations_end_the_session(self):
        head = struct.pack
        for name, frame in [
                ('version', head('>BBHII', 9, 0, 1, 1, 0)),
                ('type', head('>BBHII', 0, 7, 1, 1, 0)),
                ('window overrun', head('>BBHII', 0, 0, 1, 1, 1 << 30)),
                ('duplicate SYN', head('>BBHII', 0, 0, 1, 1, 1) + b'\x01' + head('>BBHII', 0, 1, 1, 1, 0)),
                ('stream type', head('>BBHII', 0, 0, 1, 1, 1) + b'\x63')]:
            with self.subTest(name):
                self.assertTrue(self.closed(b'\x06' + frame))

    def test_silent_connection_is_closed_after_the_handshake_timeout(self):
        self.assertTrue(self.closed(b'', 8))

    def test_unknown_methods_and_garbage_bodies(self):
        rows = [('Nope.Nope', {}, "rpc: can't find service Nope.Nope"),
                ('Node.Nope', {}, "rpc: can't find method Node.Nope"),
                ('nodots', {}, 'rpc: service/method request ill-formed: nodots')]
        for method, body, text in rows:
            with self.subTest(method), Rpc(self.srv.rpc) as r:
                with self.assertRaises(RpcError) as e:
                    r.call(method, body)
                self.assertEqual(str(e.exception), text)
        for name, body in (('number', pack(7)), ('wrong type', pack({'Node': 5, 'Region': 'global'})),
                           ('float for int', pack({'NodeID': 'x', 'Region': 'global', 'UpdatedAt': 1.5}))):
            with self.subTest(name), Rpc(self.srv.rpc) as r:
                with self.assertRaises((RpcError, EOFError)):
                    r.call('Node.Register' if name != 'float for int' else 'Node.UpdateStatus', body)
        self.assertEqual(self.srv.nodes(), [])

    def test_oversized_request_is_refused_and_others_go_on(self):
        with Rpc(self.srv.rpc) as good, Rpc(self.srv.rpc) as bad:
            register(good, A)
            stream = bad.open()
            try:
                # a map whose one value claims 1 GB
                bad.frame(0, 0, stream, pack({'Seq': 1, 'ServiceMethod': 'Node.Register'}) + b'\x81\xa1x\xdb\x40\x00\x00\x00')
                for _ in range(200):
                    bad.frame(0, 0, stream, b'y' * 1000)
                header, _ = bad.receive(stream)
                self.assertNotEqual(header['Error'], '')
            except (OSError, EOFError):
                pass
            self.assertEqual(good.call('Status.Ping', {}), {})
        self.assertEqual(len(self.srv.nodes()), 1)

    def test_half_open_and_vanished_peers_cost_nothing(self):
        before = len(os.listdir(f'/proc/{self.srv.proc.pid}/fd'))
        for n in range(50):
            r = Rpc(self.srv.rpc)
            stream = r.open()
            r.send(stream, 'Node.GetClientAllocs', {'NodeID': A['ID'], 'SecretID': A['SecretID'], 'Region': 'global',
                                                    'MinQueryIndex': 10 ** 9})
            if n % 2:
                r.sock.shutdown(socket.SHUT_WR)
            r.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
            r.close()
        wait_until('descriptors come back',
                   lambda: len(os.listdir(f'/proc/{self.srv.proc.pid}/fd')) <= before, 20)
        self.assertTrue(self.srv.alive())


class Database(ProgramCase):
    def stopped_server(self):
        srv = self.server().start().wait()
        with Rpc(srv.rpc) as r:
            register(r, A)
        self.assertEqual(srv.stop(), 0)
        self.db = os.path.join(srv.data, 'server', 'state.db')
        self.assertTrue(os.path.exists(self.db))
        return srv

    def refused(self, srv, *texts):
        srv.start()
        self.assertEqual(srv.exit_status(), 1)
        log = srv.log()
        for text in texts:
            self.assertIn(text, log)

    def test_corrupt_database_is_refused_and_kept(self):
        srv = self.stopped_server()
        with open(self.db, 'r+b') as f:
            f.seek(100)
            f.write(os.urandom(8000))
        with open(self.db, 'rb') as f:
            before = f.read()
        self.refused(srv, 'state.db')
        with open(self.db, 'rb') as f:
            self.assertEqual(f.read(), before)

    def test_foreign_files_are_refused_and_kept(self):
        srv = self.stopped_server()
        for name in ('text', 'another program'):
            with self.subTest(name):
                for suffix in ('', '-wal', '-shm'):
                    if os.path.exists(self.db + suffix):
                        os.unlink(self.db + suffix)
                if name == 'text':
                    with open(self.db, 'w', encoding='ascii') as f:
                        f.write('this is no database\n' * 100)
                else:
                    db = sqlite3.connect(self.db)
                    db.execute('create table recipes (soup text)')
                    db.commit()
                    db.close()
                with open(self.db, 'rb') as f:
                    before = f.read()
                self.refused(srv, 'state.db')
                with open(self.db, 'rb') as f:
                    self.assertEqual(f.read(), before)

    def test_newer_schema_is_refused_with_its_number(self):
        srv = self.stopped_server()
        db = sqlite3.connect(self.db)
        rows = db.execute("select key, value from meta where key = 'schema'").fetchall()
        self.assertEqual(len(rows), 1)
        db.execute("update meta set value = 99 where key = 'schema'")
        db.commit()
        db.close()
        self.refused(srv, '99', 'newer')

    def test_second_server_on_the_same_folder_is_refused(self):
        one = self.server().start().wait()
        two = self.server()
        two.data = one.data
        two.configure()
        two.start()
        self.assertEqual(two.exit_status(), 1)
        self.assertIn(str(one.proc.pid), two.log())
        self.assertTrue(one.alive())

    def test_full_disk_loses_nothing_and_goes_on_when_there_is_room(self):
        srv = self.server()
        os.makedirs(srv.data)
        if subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=1m,mode=755', 'tmpfs', srv.data], check=False,
                          stderr=subprocess.DEVNULL).returncode:
            self.skipTest('may not mount a tmpfs here')
        self.addCleanup(subprocess.run, ['umount', '-l', srv.data], check=False)
        srv.start().wait()
        answered, refused = [], None
        with Rpc(srv.rpc) as r:
            for n in range(2000):
                node = fake_node(f'aaaaaaaa-0000-0000-0000-{n:012}', 'aaaaaaaa-1111-1111-1111-000000000001',
                                 Meta={'padding': 'x' * 4000})
                try:
                    register(r, node)
                    answered.append(node['ID'])
                except RpcError as e:
                    refused = str(e)
                    break
            self.assertIsNotNone(refused, 'the disk never filled up')
            self.assertRegex(refused, 'full|space')
            self.assertEqual({x['ID'] for x in srv.nodes()}, set(answered))
            subprocess.run(['mount', '-o', 'remount,size=64m', srv.data], check=True)
            wait_until('writes go on', lambda: self.try_register(r), 20)
        self.assertEqual(srv.stop(), 0)
        srv.start().wait()
        self.assertLessEqual(set(answered), {x['ID'] for x in srv.nodes()})

    @staticmethod
    def try_register(r):
        try:
            return register(r, {**A, 'ID': 'bbbbbbbb-0000-0000-0000-000000000001'})
        except RpcError:
            return None

    def test_folder_that_cannot_be_written(self):
        srv = self.server()
        with open(srv.data, 'w', encoding='ascii') as f:
            f.write('a file where the folder should be')
        srv.start()
        self.assertEqual(srv.exit_status(), 1)
        self.assertIn(srv.data, srv.log())

    def test_read_only_folder(self):
        srv = self.server()
        os.makedirs(srv.data)
        if subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=1m,ro', 'tmpfs', srv.data], check=False,
                          stderr=subprocess.DEVNULL).returncode:
            self.skipTest('may not mount a tmpfs here')
        self.addCleanup(subprocess.run, ['umount', '-l', srv.data], check=False)
        srv.start()
        self.assertEqual(srv.exit_status(), 1)
        self.assertRegex(srv.log(), 'Read-only file system')


class Identity(ProgramCase):
    def agent_with(self, name, content, mode=0o600):
        agt = self.agent([1])
        folder = os.path.join(agt.data, 'client')
        os.makedirs(folder)
        self.path = os.path.join(folder, name)
        with open(self.path, 'wb') as f:
            f.write(content)
        os.chmod(self.path, mode)
        return agt

    def test_files_that_are_no_ids_are_named_and_kept(self):
        for name in ('client-id', 'secret-id'):
            for content in (b'garbage\n', b'\x00' * 36, b'f7476465-4d6e-c0de-26d0-e383c49be94', b'x' * 100000):
                with self.subTest(f'{name} {content[:12]!r}'):
                    agt = self.agent_with(name, content).start()
                    self.assertEqual(agt.exit_status(), 1)
                    self.assertIn(self.path, agt.log())
                    with open(self.path, 'rb') as f:
                        self.assertEqual(f.read(), content)

    def test_trailing_newline_and_upper_case_are_fine(self):
        agt = self.agent_with('client-id', b'F7476465-4D6E-C0DE-26D0-E383C49BE941\n').start().wait_api()
        self.assertEqual(get_json(agt.http, '/v1/agent/self')['stats']['client']['node_id'],
                         'f7476465-4d6e-c0de-26d0-e383c49be941')

    def test_empty_file_gets_a_new_id(self):
        agt = self.agent_with('client-id', b'').start().wait_api()
        self.assertEqual(len(agt.node_id()), 36)

    def test_folder_in_place_of_a_file(self):
        agt = self.agent([1])
        path = os.path.join(agt.data, 'client', 'client-id')
        os.makedirs(path)
        agt.start()
        self.assertEqual(agt.exit_status(), 1)
        self.assertIn(path, agt.log())

    def test_read_only_and_full_folders(self):
        for options, text in (('size=64k,ro', 'Read-only file system'), ('size=4k,nr_inodes=2', 'No space left on device')):
            with self.subTest(options):
                agt = self.agent([1])
                os.makedirs(agt.data)
                if subprocess.run(['mount', '-t', 'tmpfs', '-o', options, 'tmpfs', agt.data], check=False,
                                  stderr=subprocess.DEVNULL).returncode:
                    self.skipTest('may not mount a tmpfs here')
                self.addCleanup(subprocess.run, ['umount', '-l', agt.data], check=False)
                agt.start()
                self.assertEqual(agt.exit_status(), 1)
                self.assertIn(text, agt.log())
                self.assertIn(agt.data, agt.log())

    def test_two_agents_on_one_folder(self):
        one = self.agent([1]).start().wait_api()
        two = self.agent([1])
        two.data = one.data
        two.configure()
        two.start()
        self.assertEqual(two.exit_status(), 1)
        self.assertIn(str(one.proc.pid), two.log())


class Configuration(ProgramCase):
    def test_errors_name_place_fault_and_nearest_key(self):
        folder = self.tmpdir()
        path = os.path.join(folder, 'agent.hcl')
        rows = [
            ('client {\n  enabeld = true\n}\n', [':2:3', 'enabeld', 'enabled']),
            ('datacenter = 5 = 6\n', [':1:']),
            ('client {\n  enabled = "yes"\n}\n', [':2:', 'enabled']),
            ('client { enabled = true\n', ['agent.hcl:']),
            ('ports { http = "abc" }\n', [':1:', 'http']),
            ('acl { enabled = true }\n', [':1:', 'acl']),
            ('\xff\xfe', ['agent.hcl:']),
        ]
        for text, wanted in rows:
            with self.subTest(text[:20]):
                with open(path, 'wb') as f:
                    f.write(text.encode('latin-1'))
                code, out, err = run_cli('config', 'validate', path)
                self.assertEqual(code, 1)
                for w in wanted:
                    self.assertIn(w, out + err)
        with open(path, 'w', encoding='ascii') as f:
            f.write('data_dir = "/tmp/x"\nclient { enabled = true }\n')
        code, out, _ = run_cli('config', 'validate', path)
        self.assertEqual((code, out.strip().splitlines()[-1]), (0, 'Configuration is valid!'))
        code, out, err = run_cli('config', 'validate', os.path.join(folder, 'absent.hcl'))
        self.assertEqual(code, 1)
        self.assertIn('no such file or directory', (out + err).lower())

    def test_port_in_use_names_its_holder(self):
        srv = self.server().start().wait()
        other = self.server(ports=(srv.http, srv.rpc + 0))
        other.start()
        self.assertEqual(other.exit_status(), 1)
        self.assertRegex(other.log(), rf'picket-server.*{srv.proc.pid}|{srv.proc.pid}.*picket-server')
        agt = self.agent([srv])
        agt.http = srv.http
        agt.configure()
        agt.start()
        self.assertEqual(agt.exit_status(), 1)
        self.assertIn(str(srv.proc.pid), agt.log())

    def test_daemons_refuse_bad_configuration(self):
        for prog in (self.server(extra='nonsense = 1'), self.agent([1], extra='nonsense = 1')):
            prog.start()
            self.assertEqual(prog.exit_status(), 1)
            self.assertIn('nonsense', prog.log())
            self.assertIn(prog.config_path, prog.log())

    def test_server_and_client_in_one_folder_is_fine(self):
        srv = self.server(extra='client { enabled = true }').start().wait()
        self.assertIn('client', srv.log())


class Cli(ProgramCase):
    def test_errors_of_the_command(self):
        code, _, err = run_cli('node', 'status', port=1)
        self.assertEqual(code, 1)
        self.assertIn('127.0.0.1:1', err)
        self.assertEqual(run_cli('nonsense')[0], 127)
        srv = self.server().start().wait()
        code, _, err = run_cli('node', 'status', 'abcd', port=srv.http)
        self.assertEqual(code, 1)
        self.assertIn('No node(s) with prefix', err)
        code, _, err = run_cli('node', 'status', env={'NOMAD_ADDR': 'not an address'})
        self.assertEqual(code, 1)

    def test_fingerprint_needs_no_daemon(self):
        code, out, err = run_cli('fingerprint')
        self.assertEqual(code, 0, err)
        self.assertIn('kernel.name', out)
        self.assertIn('docker', out)
        code, out, _ = run_cli('fingerprint', '-json')
        self.assertEqual(code, 0)
        self.assertIn('kernel.name', json.dumps(json.loads(out)))

    def test_version(self):
        for name in ('picket', 'picketd', 'picket-server', 'picket-probe', 'picket-sim'):
            arg = 'version' if name == 'picket' else '-version'
            r = subprocess.run([os.path.join(BIN, name), arg], capture_output=True, text=True, check=False)
            self.assertEqual(r.returncode, 0, name)
            self.assertRegex(r.stdout, r'\d+\.\d+\.\d+', name)
