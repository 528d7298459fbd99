"""A second, independent reading of Nomad's wire: msgpack, yamux and RPC in plain python, for tests only."""
import socket
import struct
import time

YAMUX_DATA, YAMUX_WINDOW, YAMUX_PING, YAMUX_GOAWAY = range(4)
SYN, ACK, FIN, RST = 1, 2, 4, 8


def pack(v):
    """msgpack as Nomad's codec writes it: no str8, no bin."""
    if v is None:
        return b'\xc0'
    if v is True or v is False:
        return b'\xc3' if v else b'\xc2'
    if isinstance(v, int):
        if -32 <= v < 128:
            return struct.pack('b', v)
        for code, fmt, bits in ((0xd0, 'b', 7), (0xd1, '>h', 15), (0xd2, '>i', 31), (0xd3, '>q', 63)):
            if -(1 << bits) <= v < 1 << bits:
                return bytes([code]) + struct.pack(fmt, v)
        return b'\xcf' + struct.pack('>Q', v)
    if isinstance(v, float):
        return b'\xcb' + struct.pack('>d', v)
    if isinstance(v, (str, bytes)):
        b = v.encode() if isinstance(v, str) else v
        if len(b) < 32:
            return bytes([0xa0 | len(b)]) + b
        if len(b) < 65536:
            return b'\xda' + struct.pack('>H', len(b)) + b
        return b'\xdb' + struct.pack('>I', len(b)) + b
    if isinstance(v, (list, tuple)):
        head = bytes([0x90 | len(v)]) if len(v) < 16 else b'\xdc' + struct.pack('>H', len(v))
        return head + b''.join(pack(x) for x in v)
    if isinstance(v, dict):
        head = bytes([0x80 | len(v)]) if len(v) < 16 else b'\xde' + struct.pack('>H', len(v))
        return head + b''.join(pack(k) + pack(x) for k, x in v.items())
    raise TypeError(type(v))


class Short(Exception):
    """more bytes are needed"""


def unpack(b, at=0):
    """One object at b[at:]; returns it and the offset behind it.  Text that is UTF-8 becomes str."""
    def need(n):
        if at + n > len(b):
            raise Short
        return b[at:at + n]

    c = need(1)[0]
    at += 1
    if c < 0x80:
        return c, at
    if c >= 0xe0:
        return c - 256, at
    if c in (0xc0, 0xc2, 0xc3):
        return {0xc0: None, 0xc2: False, 0xc3: True}[c], at
    numbers = {0xca: '>f', 0xcb: '>d', 0xcc: 'B', 0xcd: '>H', 0xce: '>I', 0xcf: '>Q', 0xd0: 'b', 0xd1: '>h', 0xd2: '>i',
               0xd3: '>q'}
    if c in numbers:
        fmt = numbers[c]
        raw = need(struct.calcsize(fmt))
        return struct.unpack(fmt, raw)[0], at + len(raw)
    n = kind = None
    if 0x80 <= c < 0x90:
        kind, n = 'map', c & 15
    elif 0x90 <= c < 0xa0:
        kind, n = 'array', c & 15
    elif 0xa0 <= c < 0xc0:
        kind, n = 'raw', c & 31
    else:
        kind, fmt = {0xc4: ('raw', 'B'), 0xc5: ('raw', '>H'), 0xc6: ('raw', '>I'), 0xd9: ('raw', 'B'), 0xda: ('raw', '>H'),
                     0xdb: ('raw', '>I'), 0xdc: ('array', '>H'), 0xdd: ('array', '>I'), 0xde: ('map', '>H'),
                     0xdf: ('map', '>I')}[c]
        raw = need(struct.calcsize(fmt))
        n = struct.unpack(fmt, raw)[0]
        at += len(raw)
    if kind == 'raw':
        raw = bytes(need(n))
        try:
            return raw.decode(), at + n
        except UnicodeDecodeError:
            return raw, at + n
    if kind == 'array':
        out = []
        for _ in range(n):
            x, at = unpack(b, at)
            out.append(x)
        return out, at
    out = {}
    for _ in range(n):
        k, at = unpack(b, at)
        out[k], at = unpack(b, at)
    return out, at


class RpcError(Exception):
    """the server answered with an error text"""


class Rpc:
    """One yamux connection; each call on a stream of its own, one at a time."""

    def __init__(self, port, host='127.0.0.1', timeout=10, first=b'\x06'):
        self.sock = socket.create_connection((host, port), timeout)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # frames are many and small
        self.sock.sendall(first)
        self.next_id, self.seq, self.inbox = 1, 0, b''

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def frame(self, kind, flags, stream, payload=b'', length=None):
        self.sock.sendall(struct.pack('>BBHII', 0, kind, flags, stream, len(payload) if length is None else length) +
                          payload)

    def read_frame(self):
        """(kind, flags, stream, length, payload); answers pings itself; EOFError when the peer closed"""
        while True:
            head = self._exactly(12)
            _, kind, flags, stream, length = struct.unpack('>BBHII', head)
            payload = self._exactly(length) if kind == YAMUX_DATA else b''
            if kind == YAMUX_PING and flags & SYN:
                self.frame(YAMUX_PING, ACK, 0, length=length)
                continue
            return kind, flags, stream, length, payload

    def _exactly(self, n):
        while len(self.inbox) < n:
            more = self.sock.recv(1 << 16)
            if not more:
                raise EOFError
            self.inbox += more
        out, self.inbox = self.inbox[:n], self.inbox[n:]
        return out

    def open(self):
        stream = self.next_id
        self.next_id += 2
        self.frame(YAMUX_DATA, SYN, stream, b'\x01')
        return stream

    def send(self, stream, method, body):
        self.seq += 1
        raw = pack({'Seq': self.seq, 'ServiceMethod': method}) + (body if isinstance(body, bytes) else pack(body))
        for i in range(0, len(raw), 200000):
            self.frame(YAMUX_DATA, 0, stream, raw[i:i + 200000])

    def receive(self, stream):
        data = b''
        while True:
            kind, flags, sid, length, payload = self.read_frame()
            if kind == YAMUX_GOAWAY:
                raise EOFError(f'go away {length}')
            if sid != stream:
                continue
            data += payload
            if payload:
                self.frame(YAMUX_WINDOW, 0, stream, length=len(payload))
            if flags & RST:
                raise EOFError('stream reset')
            try:
                header, at = unpack(data)
                body, at = unpack(data, at)
                return header, body
            except Short:
                if flags & FIN:
                    raise EOFError('stream ended') from None

    def call(self, method, body=None):
        stream = self.open()
        self.send(stream, method, {} if body is None else body)
        header, reply = self.receive(stream)
        self.frame(YAMUX_WINDOW, FIN, stream)
        if header['Error']:
            raise RpcError(header['Error'])
        return reply

    def call_all(self, calls):
        """sends all (method, body) at once, each on a stream of its own; yields (number, reply or RpcError) as they come"""
        data, streams = {}, {}
        for i, (method, body) in enumerate(calls):
            stream = self.open()
            self.send(stream, method, body)
            data[stream], streams[stream] = b'', i
        while streams:
            kind, flags, sid, length, payload = self.read_frame()
            if kind == YAMUX_GOAWAY:
                raise EOFError(f'go away {length}')
            if sid not in streams:
                continue
            data[sid] += payload
            try:
                header, at = unpack(data[sid])
                body, at = unpack(data[sid], at)
            except Short:
                if flags & (FIN | RST):
                    raise EOFError('stream ended') from None
                if payload:
                    self.frame(YAMUX_WINDOW, 0, sid, length=len(payload))
                continue
            self.frame(YAMUX_WINDOW, FIN, sid)
            yield streams.pop(sid), RpcError(header['Error']) if header['Error'] else body


def fake_node(node_id, secret_id, **fields):
    """the smallest node that a server takes, with one attribute"""
    node = {'ID': node_id, 'SecretID': secret_id, 'Datacenter': 'dc1', 'Name': 'fake-' + node_id[:4],
            'Attributes': {'kernel.name': 'linux', 'nomad.version': '1.10.5'}, 'Status': 'initializing',
            'HTTPAddr': '127.0.0.1:1', 'NodeResources': {'Cpu': {'CpuShares': 1000, 'TotalCpuCores': 1,
                                                               'ReservableCpuCores': [0]},
                                                       'Memory': {'MemoryMB': 1024}, 'Disk': {'DiskMB': 1024}}}
    node.update(fields)
    return node


def register(rpc, node, token=''):
    return rpc.call('Node.Register', {'Node': node, 'Region': 'global', 'AuthToken': token})


def beat(rpc, node, status='ready'):
    return rpc.call('Node.UpdateStatus', {'NodeID': node['ID'], 'Status': status, 'Region': 'global',
                                          'AuthToken': node['SecretID']})


def wait_until(what, check, seconds=20, every=0.05):
    """polls check() until it is true; the last false value or exception is in the failure"""
    end, last = time.monotonic() + seconds, None
    while time.monotonic() < end:
        try:
            last = check()
            if last:
                return last
        except (OSError, EOFError, ValueError, KeyError) as e:
            last = e
        time.sleep(every)
    raise AssertionError(f'{what}: not within {seconds} s; last: {last!r}')
