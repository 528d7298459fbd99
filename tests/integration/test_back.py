"""What one agent is asked through servers and other agents: statistics, metadata, its log as a stream."""
import base64
import http.client
import json
import os
import signal
import socket
import threading

from programs import ProgramCase, get_json, http_get
from wire import pack, unpack, Short, wait_until


class LogStream:
    """GET /v1/agent/monitor, read as it comes; meanwhile write() leaves lines in the log that is watched"""

    def __init__(self, port, query, write, timeout=60):
        self.over = threading.Event()
        self.writer = threading.Thread(target=self.keep_writing, args=(write,))
        self.conn = http.client.HTTPConnection('127.0.0.1', port, timeout=timeout)
        self.writer.start()
        try:  # the answer begins with the first line
            self.conn.request('GET', '/v1/agent/monitor?log_level=INFO&' + query)
            self.answer = self.conn.getresponse()
        except BaseException:
            self.close()
            raise
        self.raw = b''

    def keep_writing(self, write):
        while not self.over.wait(0.2):
            try:
                write()
            except OSError:
                pass  # it was killed

    def close(self):
        self.over.set()
        self.writer.join()
        self.conn.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def more(self):
        """False at the end"""
        piece = self.answer.read1(1 << 16)
        self.raw += piece
        return bool(piece)

    def text(self):
        """the log in what has come so far"""
        out, rest = b'', self.raw.decode()
        decoder = json.JSONDecoder()
        while rest:
            try:
                frame, at = decoder.raw_decode(rest)
            except ValueError:
                break
            out += base64.b64decode(frame.get('Data', ''))
            rest = rest[at:]
        return out.decode()

    def until(self, what, plain=False):
        while what not in (self.raw.decode() if plain else self.text()):
            if not self.more():
                raise AssertionError(f'{what} is not in:\n{self.raw!r}')


class BackCalls(ProgramCase):
    def setUp(self):
        super().setUp()
        self.srv = self.server().start().wait()
        self.agt = self.agent([self.srv]).start().wait_api()
        self.node_id = self.agt.node_id()
        self.ready(self.srv, self.node_id)

    def write_at(self, program):
        """a write leaves a line in a program's log"""
        return lambda: http_get(program.http, '/v1/client/metadata', 'POST', json.dumps({'Meta': {'seen': 'yes'}}))

    def test_statistics_and_metadata_through_the_server(self):
        stats = wait_until('statistics', lambda: get_json(self.srv.http, f'/v1/client/stats?node_id={self.node_id}'))
        self.assertGreater(stats['Memory']['Total'], 1 << 20)
        self.assertGreater(stats['Uptime'], 0)
        status, _, body = http_get(self.srv.http, '/v1/client/metadata', 'POST',
                                   json.dumps({'NodeID': self.node_id, 'Meta': {'shelf': '7'}}))
        self.assertEqual(status, 200, body)
        self.assertEqual(json.loads(body)['Meta']['shelf'], '7')
        self.assertEqual(get_json(self.srv.http, f'/v1/client/metadata?node_id={self.node_id}')['Dynamic'], {'shelf': '7'})
        wait_until('registered with it', lambda: self.srv.node(self.node_id)['Meta'].get('shelf') == '7', seconds=60)

    def test_errors_are_nomads(self):
        unknown = '11111111-2222-4333-8444-555555555555'
        for target, status, text in (
                ('/v1/client/stats', 400, 'No local Node and node_id not provided'),
                (f'/v1/client/stats?node_id={unknown}', 404, f'Unknown node {unknown}'),
                ('/v1/client/stats?node_id=zz', 500, 'node lookup failed: index error: UUID must be 36 characters'),
                (f'/v1/agent/monitor?node_id={unknown}', 500, f'RPC Error:: 404,Unknown node "{unknown}"'),
                ('/v1/agent/monitor?server_id=nope', 400, 'unknown Nomad server nope')):
            self.assertEqual(http_get(self.srv.http, target)[::2], (status, text), target)
        self.agt.kill()
        wait_until('its connection is gone',
                   lambda: http_get(self.srv.http, f'/v1/client/stats?node_id={self.node_id}')[::2] == (404, 'No path to node'))
        self.assertEqual(http_get(self.srv.http, f'/v1/agent/monitor?node_id={self.node_id}')[::2],
                         (500, 'RPC Error:: 404,No path to node'))

    def test_the_log_of_a_node_through_the_server_and_another_agent(self):
        other = self.agent([self.srv]).start().wait_api()
        self.ready(self.srv, other.node_id())
        for door in (self.srv, other):
            with LogStream(door.http, f'node_id={self.node_id}', self.write_at(self.agt)) as s:
                self.assertEqual(s.answer.status, 200)
                s.until('API write')
            with LogStream(door.http, f'plain=true&node_id={self.node_id}', self.write_at(self.agt)) as s:
                self.assertEqual(s.answer.headers['Content-Type'], 'text/plain')
                s.until('API write', plain=True)
        with LogStream(other.http, 'server_id=leader&plain=true', self.write_at(self.srv)) as s:
            s.until('API write', plain=True)
        unknown = '11111111-2222-4333-8444-555555555555'
        self.assertEqual(http_get(other.http, f'/v1/agent/monitor?node_id={unknown}')[::2],
                         (500, f'RPC Error:: 404,Unknown node "{unknown}"'))

    def test_streams_end_with_their_agent(self):
        with LogStream(self.srv.http, f'node_id={self.node_id}', self.write_at(self.agt)) as s:
            s.until('API write')
            self.agt.kill()
            while s.more():
                pass

    def test_a_stopped_agent_is_noticed_within_seconds(self):
        """it answers nothing, not even pings: nobody waits out the deadline of the call"""
        os.kill(self.agt.proc.pid, signal.SIGSTOP)
        self.addCleanup(os.kill, self.agt.proc.pid, signal.SIGCONT)
        status, _, body = http_get(self.srv.http, f'/v1/client/stats?node_id={self.node_id}', timeout=60)
        self.assertEqual(status, 500)
        self.assertIn('no answer to a ping', body)
        self.assertEqual(http_get(self.srv.http, f'/v1/client/stats?node_id={self.node_id}')[::2], (404, 'No path to node'))

    def test_a_connection_of_type_05_is_one_stream(self):
        """as a Nomad client agent forwards a stream to a server"""
        with socket.create_connection(('127.0.0.1', self.srv.rpc), 30) as sock:
            sock.sendall(b'\x05' + pack({'Method': 'Agent.Monitor'}))
            data = self.objects(sock, b'', 1)
            self.assertEqual(data.pop(), {'Error': ''})
            sock.sendall(pack({'NodeID': self.node_id, 'PlainText': True, 'LogLevel': 'INFO', 'Region': 'global'}))
            self.write_at(self.agt)()
            seen = b''
            while b'API write' not in seen:
                for frame in self.objects(sock, b'', 1):
                    self.assertFalse(frame.get('Error'))
                    payload = frame.get('Payload') or b''
                    seen += payload if isinstance(payload, bytes) else payload.encode()
                self.write_at(self.agt)()

    def objects(self, sock, data, n):
        out = []
        while len(out) < n or data:
            try:
                value, at = unpack(data)
                out.append(value)
                data = data[at:]
            except Short:
                more = sock.recv(1 << 16)
                self.assertTrue(more, 'the server closed')
                data += more
        return out


if __name__ == '__main__':
    import unittest
    unittest.main()
