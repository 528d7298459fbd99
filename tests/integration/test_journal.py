"""The log under systemd: records with fields in journald's own protocol, and a journald that does not read stops nobody."""
import os
import signal
import socket
import struct

from programs import ProgramCase, get_json
from wire import wait_until


def fields(datagram):
    """the fields of one record: NAME=value lines, and NAME, a length and the value where that has line ends"""
    out, at = {}, 0
    while at < len(datagram):
        end = datagram.index(b'\n', at)
        name, equals, value = datagram[at:end].partition(b'=')
        at = end + 1
        if not equals:
            size, = struct.unpack_from('<Q', datagram, at)
            value = datagram[at + 8:at + 8 + size]
            at += 8 + size + 1
        out.setdefault(name.decode(), []).append(value.decode())
    return out


class Journal(ProgramCase):
    def journald(self):
        """a folder to lie over /run, and the socket in it"""
        run = self.tmpdir()
        os.makedirs(os.path.join(run, 'systemd', 'journal'))
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(sock.close)
        sock.bind(os.path.join(run, 'systemd', 'journal', 'socket'))
        sock.settimeout(30)
        return run, sock

    @staticmethod
    def start_below(program, run):
        script = 'mount --bind "$0" /run && export JOURNAL_STREAM=$(stat -Lc %d:%i /dev/stderr) && exec "$@"'
        return program.start(prefix=('unshare', '-m', '--propagation', 'private', 'sh', '-c', script, run))

    def record(self, sock, message):
        def next_one():
            r = fields(sock.recv(1 << 20))
            return r if r['MESSAGE'][0].startswith(message) else None
        return wait_until(message, next_one)

    def test_records_have_fields_each_once(self):
        run, sock = self.journald()
        srv = self.server().start().wait()
        agt = self.start_below(self.agent([srv]), run).wait_api()
        r = self.record(sock, 'picketd started')
        self.assertEqual({k: v for k, v in r.items() if len(v) != 1}, {})
        self.assertEqual((r['PRIORITY'], r['SYSLOG_IDENTIFIER']), (['6'], ['picketd']))
        self.assertEqual(r['PICKET_NODE_ID'], [agt.node_id()])
        self.assertEqual(r['CODE_FILE'], ['agent/main.c'])
        self.assertIn(f'node_id={agt.node_id()}', r['MESSAGE'][0])
        self.assertEqual(agt.log(), '')

    def test_a_journal_that_does_not_read_stops_nobody(self):
        with open('/proc/sys/net/unix/max_dgram_qlen', encoding='ascii') as f:
            room = int(f.read())
        run, sock = self.journald()
        srv = self.server().start().wait()
        agt = self.start_below(self.agent([srv], extra='log_level = "TRACE"'), run).wait_api()
        self.ready(srv, agt.node_id())
        sent = []
        sock.setblocking(False)

        def full():
            """nobody reads: once the queue is full each request still has its answer"""
            get_json(agt.http, '/v1/agent/self')
            agt.proc.send_signal(signal.SIGHUP)     # a reload writes a few records
            sent.append(1)
            return len(sent) > room
        wait_until('more records than the queue holds', full, 120)
        self.assertTrue(get_json(agt.http, '/v1/agent/self'))
        while True:
            try:
                sock.recv(1 << 20)
            except BlockingIOError:
                break
        sock.settimeout(30)
        agt.proc.send_signal(signal.SIGHUP)

        def counted():
            r = fields(sock.recv(1 << 20))
            return 'dropped_records=' in r['MESSAGE'][0]
        wait_until('the records that were lost are counted', counted)
        self.assertEqual(agt.stop(), 0)
