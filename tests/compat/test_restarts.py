"""A real client through five restarts of picket-server, in order and by kill -9 in turn: it keeps its id, its events, its
CreateIndex, and it is never down."""
import os
import signal
import sys
import threading
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from nomad import RealClient, version                   # noqa: E402
from programs import ProgramCase                        # noqa: E402
from wire import wait_until                             # noqa: E402

RESTARTS = 5
READY_AGAIN_S = 90      # a client of 1.0 tries again after up to 30 s


class Watcher(threading.Thread):
    """polls the node as fast as the server answers; what it says while the server is away does not count"""

    def __init__(self, server, node_id):
        super().__init__(daemon=True)
        self.server, self.node_id = server, node_id
        self.statuses, self.last_index, self.wrong = {}, 0, []
        self.over = threading.Event()

    def run(self):
        while not self.over.wait(0.05):
            try:
                n = self.server.node(self.node_id)
            except (OSError, ValueError) as e:
                if '404' in str(e):
                    self.wrong.append(f'the node is gone: {e}')
                continue
            self.statuses[n['Status']] = self.statuses.get(n['Status'], 0) + 1
            if n['ModifyIndex'] < self.last_index:
                self.wrong.append(f'ModifyIndex {n["ModifyIndex"]} after {self.last_index}')
            self.last_index = n['ModifyIndex']

    def stop(self):
        self.over.set()
        self.join()


def events(node):
    return [(e['Message'], e['Subsystem'], e['Timestamp']) for e in node['Events']]


class Restarts(ProgramCase):
    def beats(self, server, node_id):
        """the client has spoken to this run of the server: it holds a connection of it"""
        def connected():
            return any(n['ID'] == node_id and n['Status'] == 'ready' for n in server.nodes()) and \
                established(server.rpc) > 0
        wait_until('the client is back', connected, READY_AGAIN_S)

    def test_client_through_five_restarts(self):
        server = self.server(server='min_heartbeat_ttl = "4s" heartbeat_grace = "10s"').start().wait()
        client = RealClient(server)
        self.addCleanup(client.cleanup)
        client.start()
        node_id = client.node_id()
        first = self.ready(server, node_id, 90)
        wait_until('its fingerprints are in', lambda: len(server.node(node_id)['Drivers'] or {}) > 1, 60)
        watcher = Watcher(server, node_id)
        watcher.start()
        self.addCleanup(watcher.stop)
        before, away = server.node(node_id), []
        for n in range(RESTARTS):
            if n % 2:
                server.kill()
            else:
                self.assertEqual(server.stop(signal.SIGTERM), 0, server.log())
            t = time.monotonic()
            server.start().wait()
            self.beats(server, node_id)
            away.append(time.monotonic() - t)
            node = server.node(node_id)
            self.assertEqual((node['ID'], node['CreateIndex'], node['Status']), (node_id, first['CreateIndex'], 'ready'))
            self.assertEqual(events(node)[:len(before['Events'])], events(before))
            self.assertGreaterEqual(node['ModifyIndex'], before['ModifyIndex'])
            self.assertEqual([x['ID'] for x in server.nodes()], [node_id])
            before = node
        # and it goes on beating: longer than a TTL with its grace
        time.sleep(20)
        watcher.stop()
        self.assertEqual(watcher.wrong, [])
        self.assertEqual(set(watcher.statuses), {'ready'})
        self.assertEqual(server.node(node_id)['Status'], 'ready')
        self.assertIsNone(client.proc.poll())
        print(f'# RESULT nomad {version()}: {RESTARTS} restarts of picket-server, ready at all {sum(watcher.statuses.values())} '
              f'polls, connected again after at most {max(away):.1f} s, {len(before["Events"])} events kept', flush=True)


def established(port):
    """connections that end at this local port"""
    n = 0
    with open('/proc/net/tcp', encoding='ascii') as f:
        for line in f.readlines()[1:]:
            words = line.split()
            n += words[3] == '01' and int(words[1].split(':')[1], 16) == port
    return n


if __name__ == '__main__':
    unittest.main()
