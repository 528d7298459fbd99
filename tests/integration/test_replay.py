"""A hundred agents' worth of recorded conversations of real Nomad clients (tests/data/wire/client-*.txt, made by
tests/compat/record.py) at once against picket-server.

Each agent says the recorded bytes with an id and a secret of its own, waits for an answer wherever the client had one, and
compares it with the recorded one by its kind.
"""
import glob
import os
import socket
import struct
import threading
import unittest

from programs import ProgramCase
from wire import ACK, SYN, YAMUX_DATA, YAMUX_GOAWAY, YAMUX_PING, YAMUX_WINDOW, Short, unpack

DATA = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'data', 'wire')
RECORDED = sorted(glob.glob(os.path.join(DATA, 'client-*.txt')))
AGENTS = int(os.environ.get('REPLAY_AGENTS', '100'))
ID, SECRET = b'11111111-2222-4333-8444-555555555555', b'66666666-7777-4888-8999-000000000000'


def load(path):
    """[[(from the client?, bytes)]] of the connections"""
    conns = []
    with open(path, encoding='ascii') as f:
        for line in f:
            if line.startswith('='):
                conns.append([])
            elif line[0] in '<>':
                conns[-1].append((line[0] == '>', bytes.fromhex(line[2:])))
    return [c for c in conns if any(up for up, _ in c)]


def replies(data):
    """whole answers at the front of a stream: ([(header, body)], what is left)"""
    out = []
    while data:
        try:
            header, at = unpack(data)
            body, at = unpack(data, at)
        except Short:
            break
        out.append((header, body))
        data = data[at:]
    return out, data


class Conn:
    """plays one recorded connection"""

    def __init__(self, port, own):
        self.own = own              # what replaces the recorded id and secret
        self.sock = socket.create_connection(('127.0.0.1', port), 60)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.inbox, self.streams, self.answers = b'', {}, {}

    def play(self, conn):
        """[(recorded, heard)] of all answers, header and body"""
        expected, out = {}, []
        for up, data in conn:
            if up:
                self.send(data)
                continue
            if len(data) < 12 or data[1] != YAMUX_DATA:
                continue
            stream = struct.unpack('>I', data[4:8])[0]
            got, expected[stream] = replies(expected.get(stream, b'') + data[12:])
            out += [(r, self.answer(stream)) for r in got]
        return out

    def send(self, data):
        # answers to pings of the recorded server: this one's pings are answered as they come
        if len(data) == 12 and data[1] == YAMUX_PING and data[3] & ACK:
            return
        if len(data) == 12 and data[1] == YAMUX_GOAWAY:
            return
        for old, new in self.own:
            data = data.replace(old, new)
        self.sock.sendall(data)

    def answer(self, stream):
        while not self.answers.get(stream):
            self.read_frame()
        return self.answers[stream].pop(0)

    def read_frame(self):
        head = self.exactly(12)
        _, kind, flags, stream, length = struct.unpack('>BBHII', head)
        if kind == YAMUX_PING and flags & SYN:
            self.sock.sendall(struct.pack('>BBHII', 0, YAMUX_PING, ACK, 0, length))
        elif kind == YAMUX_DATA:
            data = self.streams.get(stream, b'') + self.exactly(length)
            got, self.streams[stream] = replies(data)
            self.answers.setdefault(stream, []).extend(got)
        elif kind not in (YAMUX_WINDOW, YAMUX_PING):
            raise AssertionError(f'frame {head.hex()}')

    def exactly(self, n):
        while len(self.inbox) < n:
            more = self.sock.recv(1 << 16)
            if not more:
                raise AssertionError('the server closed the connection')
            self.inbox += more
        out, self.inbox = self.inbox[:n], self.inbox[n:]
        return out

    def close(self):
        self.sock.close()


def difference(recorded, heard):
    """by kind: the same question was answered, with or without an error, with the same fields, a TTL where there was one"""
    (head, body), (own_head, own_body) = recorded, heard
    if (head['ServiceMethod'], head['Seq'], bool(head['Error'])) != \
            (own_head['ServiceMethod'], own_head['Seq'], bool(own_head['Error'])):
        return f'{own_head} for {head}'
    if isinstance(body, dict) and set(body) != set(own_body):
        return f'{head["ServiceMethod"]}: fields {set(body) ^ set(own_body)}'
    if isinstance(body, dict) and (body.get('HeartbeatTTL', 0) > 0) != (own_body.get('HeartbeatTTL', 0) > 0):
        return f'{head["ServiceMethod"]}: TTL {own_body["HeartbeatTTL"]} for {body["HeartbeatTTL"]}'
    return None


def own_ids(release, n):
    return ((ID, b'%08x-0000-4000-8000-%012x' % (n, release)), (SECRET, b'%08x-0000-5000-8000-%012x' % (n, release)))


def sent_node(conns):
    """the node as the client registered it last"""
    node, pending = None, {}
    for number, conn in enumerate(conns):
        for up, data in conn:
            if not up or len(data) <= 12 or data[1] != YAMUX_DATA:
                continue
            key = number, data[4:8]
            body = pending.get(key, b'') + data[12:]
            if body[:1] == b'\x01' and key not in pending:
                body = body[1:]
            got, pending[key] = replies(body)
            for head, q in got:
                if head['ServiceMethod'] == 'Node.Register':
                    node = q['Node']
    return node


class Replay(ProgramCase):
    def agent_says(self, server, conns, own, problems, opened):
        try:
            for conn in conns:
                c = Conn(server.rpc, own)
                opened.append(c)
                for recorded, heard in c.play(conn):
                    problem = difference(recorded, heard)
                    if problem:
                        problems.append(problem)
        except (OSError, AssertionError) as e:
            problems.append(f'{own[0][1].decode()}: {e}')

    def check_node(self, server, sent, own):
        """what is kept is what was sent, but for the ids"""
        node = server.node(own[0][1].decode())
        self.assertEqual(node['Status'], 'ready')
        for key in ('Attributes', 'Meta', 'Links', 'Datacenter', 'Name', 'HTTPAddr', 'NodeClass'):
            wanted = sent[key]
            if isinstance(wanted, dict):
                wanted = {k: v.replace(ID.decode(), own[0][1].decode()) for k, v in wanted.items()}
            self.assertEqual(node[key] or None, wanted or None, key)
        self.assertEqual({d: (i['Detected'], i['Healthy']) for d, i in node['Drivers'].items()},
                         {d: (i['Detected'], i['Healthy']) for d, i in sent['Drivers'].items()})
        self.assertEqual(node['NodeResources']['Memory']['MemoryMB'], sent['NodeResources']['Memory']['MemoryMB'])
        self.assertEqual(node['Events'][0]['Message'], 'Node registered')
        self.assertEqual(node['SecretID'], '')
        return node

    def test_a_hundred_recorded_clients(self):
        self.assertTrue(RECORDED)
        for release, path in enumerate(RECORDED):
            with self.subTest(os.path.basename(path)):
                conns, problems, opened = load(path), [], []
                sent = sent_node(conns)
                server = self.server(server='min_heartbeat_ttl = "300s"').start().wait()
                agents = [own_ids(release, n) for n in range(AGENTS)]
                threads = [threading.Thread(target=self.agent_says, args=(server, conns, own, problems, opened))
                           for own in agents]
                for t in threads:
                    t.start()
                for t in threads:
                    t.join()
                self.assertEqual(problems, [])
                self.assertEqual(len(server.nodes()), AGENTS)
                nodes = [self.check_node(server, sent, own) for own in agents]
                self.assertEqual(len({n['CreateIndex'] for n in nodes}), AGENTS)
                self.assertEqual(len({n['ComputedClass'] for n in nodes}), 1)
                for c in opened:
                    c.close()
                self.assertEqual(server.stop(), 0)


if __name__ == '__main__':
    unittest.main()
