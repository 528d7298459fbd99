"""Readers of long lists who do not read: old texts of lists have a ceiling, and only lists are refused beyond it."""
import socket
import threading
import time
import unittest
import uuid

from programs import Server, get_json, http_get
from wire import Rpc, fake_node, wait_until

PAGES, PAGE = 25, 64        # of the server's table
NAME = 10000                # bytes of a name: a stub as large as forty
READERS = 100


class ListReaders(unittest.TestCase):
    def setUp(self):
        self.server = Server().start().wait()
        self.addCleanup(self.server.cleanup)
        self.addCleanup(self.server.stop)
        self.rpc = self.enterContext(Rpc(self.server.rpc, timeout=60))
        self.nodes = [(f'{i:08x}-0000-4000-8000-000000000000', str(uuid.uuid4())) for i in range(PAGES * PAGE)]
        self.register(self.nodes, 'first')

    def register(self, nodes, mark):
        def body(n):
            return {'Node': fake_node(*n, Name=(mark + ' ').ljust(NAME, 'x')), 'Region': 'global'}
        for i in range(0, len(nodes), 64):
            for _, reply in self.rpc.call_all([('Node.Register', body(n)) for n in nodes[i:i + 64]]):
                self.assertIsInstance(reply, dict)

    def reader(self):
        """asks for the list and takes no more than the beginning of the answer"""
        s = socket.socket()
        s.settimeout(60)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.connect(('127.0.0.1', self.server.http))
        self.addCleanup(s.close)
        s.sendall(b'GET /v1/nodes HTTP/1.1\r\nHost: h\r\n\r\n')
        head = b''
        while b'\r\n\r\n' not in head:
            more = s.recv(512)
            self.assertTrue(more, 'the server has closed')
            head += more
        return s, head.partition(b'\r\n\r\n')[0].decode()

    def test_old_lists_have_a_ceiling(self):
        held, refused, one = [], None, '/v1/node/' + self.nodes[0][0]
        for i in range(READERS):
            s, head = self.reader()
            if ' 503 ' in head:
                refused = head
                break
            self.assertIn(' 200 ', head)
            held.append(s)
            self.register(self.nodes[i % PAGE::PAGE], f'{i}')   # one of each page: another text of everything
        self.assertGreater(len(held), 5)
        self.assertIsNotNone(refused, 'no ceiling')
        self.assertIn('Retry-After: 1', refused)
        status, headers, body = http_get(self.server.http, '/v1/nodes', headers={'Accept-Encoding': 'gzip'})
        self.assertEqual((status, headers['retry-after']), (503, '1'))
        self.assertIn('slow readers', body)
        # who asks for one node, or waits for it, does not notice
        index = get_json(self.server.http, one)['ModifyIndex']
        answers = []
        waits = [threading.Thread(target=lambda: answers.append(
            http_get(self.server.http, f'{one}?index={index}&wait=60s', timeout=90))) for _ in range(8)]
        for t in waits:
            t.start()
        time.sleep(0.5)     # most wait by now; who comes later gets the same answer
        self.register(self.nodes[:1], 'changed')
        for t in waits:
            t.join(90)
        self.assertEqual([a[0] for a in answers], [200] * len(waits))
        for _, _, text in answers:
            self.assertIn('"Name":"changed ', text)
        self.assertEqual(http_get(self.server.http, '/v1/nodes?prefix=00000000')[0], 503)
        with Rpc(self.server.rpc) as r:     # lists over RPC are made anew
            self.assertEqual(len(r.call('Node.List', {'Region': 'global', 'PerPage': 3})['Nodes']), 3)
        for s in held:
            s.close()
        wait_until('lists are back', lambda: http_get(self.server.http, '/v1/nodes?per_page=1')[0] == 200, 60)
        self.assertEqual(len(self.server.nodes()), len(self.nodes))


if __name__ == '__main__':
    unittest.main()
