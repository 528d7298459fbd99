"""Everything once, as short as it can be, for a checker in front of the programs (`make valgrind` sets PROGRAM_PREFIX): what it
reports, and descriptors that are open at the end, are failures."""
import http.client
import re
import signal
import threading
import uuid

from programs import ProgramCase, http_get, get_json
from wire import Rpc, beat, fake_node, register, wait_until

LONG = 600      # seconds: a checker is slow, and a machine may be


class Conversation(ProgramCase):
    def wait(self, what, check):
        return wait_until(what, check, LONG)

    def get(self, program, target):
        return get_json(program.http, target, timeout=LONG)

    def answers(self, program):
        self.wait(f'{program.name} answers', lambda: program.alive() and self.get(program, '/v1/agent/self'))

    def end(self, program):
        status = program.stop(seconds=LONG)
        log = program.log()
        self.assertEqual(status, 0, log)
        # valgrind tells of these, but does not fail
        left = re.findall(r'^==\d+== Open .*\n(?!.*inherited from parent).*(?:\n==\d+==    .*)*', log, re.M)
        self.assertEqual(left, [], log)

    def blocked_read(self, server, target, change):
        _, headers, _ = http_get(server.http, target, timeout=LONG)
        got = []
        t = threading.Thread(target=lambda: got.append(
            http_get(server.http, f'{target}?index={headers["x-nomad-index"]}&wait=5m', timeout=LONG)))
        t.start()
        change()
        t.join()
        self.assertGreater(int(got[0][1]['x-nomad-index']), int(headers['x-nomad-index']))

    def snapshot(self, server, method, body=None):
        c = http.client.HTTPConnection('127.0.0.1', server.http, timeout=LONG)
        c.request(method, '/v1/operator/snapshot', body)
        r = c.getresponse()
        answer = r.read()
        c.close()
        self.assertEqual(r.status, 200, answer)
        return answer

    def test_all_that_there_is(self):
        srv = self.server().start()
        self.answers(srv)
        agt = self.agent([srv], client='meta { rack = "r1" }').start()
        self.answers(agt)
        node_id = agt.node_id()
        self.wait('node ready', lambda: self.get(srv, '/v1/node/' + node_id)['Status'] == 'ready')
        self.wait('all probes', lambda: all(p['State'] != 'never' for p in self.get(agt, '/v1/agent/fingerprint')['Probes']))

        other = fake_node(str(uuid.uuid4()), str(uuid.uuid4()))
        with Rpc(srv.rpc, timeout=LONG) as rpc:
            self.blocked_read(srv, '/v1/nodes', lambda: register(rpc, other))
            self.blocked_read(srv, '/v1/node/' + other['ID'], lambda: beat(rpc, other))
        self.assertEqual({n['ID'] for n in self.get(srv, '/v1/nodes')}, {node_id, other['ID']})
        self.assertEqual(len(self.get(srv, '/v1/nodes?prefix=' + node_id[:8])), 1)
        self.assertEqual(self.get(agt, '/v1/node/' + node_id)['ID'], node_id)
        self.assertEqual(http_get(srv.http, '/v1/node/' + str(uuid.uuid4()), timeout=LONG)[0], 404)

        body = self.snapshot(srv, 'GET')
        with Rpc(srv.rpc, timeout=LONG) as rpc:
            register(rpc, fake_node(str(uuid.uuid4()), str(uuid.uuid4())))
        self.assertEqual(len(self.get(srv, '/v1/nodes')), 3)
        self.snapshot(srv, 'PUT', body)
        self.assertEqual(len(self.get(srv, '/v1/nodes')), 2)

        agt.settings = '', 'meta { rack = "r2" }'
        agt.configure()
        agt.proc.send_signal(signal.SIGHUP)
        srv.proc.send_signal(signal.SIGHUP)
        self.wait('new meta', lambda: self.get(srv, '/v1/node/' + node_id)['Meta']['rack'] == 'r2')

        self.end(srv)
        srv.start()     # from its disk, and the agent finds it again
        self.answers(srv)
        self.wait('node ready again', lambda: self.get(srv, '/v1/node/' + node_id)['Status'] == 'ready')
        self.end(agt)
        self.end(srv)
