"""What stands between picketd and a server, or in its place: both note each heartbeat by a clock of their own."""
import socket
import struct
import threading
import time

from wire import ACK, FIN, SYN, YAMUX_DATA, YAMUX_PING, YAMUX_WINDOW, Short, pack, unpack


class Beats:
    """When heartbeats arrived and which TTL was given for each."""

    def __init__(self):
        self.at, self.ttl = [], []

    def arrived(self):
        self.at.append(time.monotonic())

    def answered(self, ttl):
        self.ttl.append((time.monotonic(), ttl))

    def gaps(self, since=0.0):
        """[(seconds between an answer and the beat behind it, the TTL of that answer)]; also the one that is open now"""
        out = []
        for i, (t, ttl) in enumerate(self.ttl):
            if t < since:
                continue
            later = [b for b in self.at if b > t]
            if i + 1 < len(self.ttl) and not [b for b in later if b <= self.ttl[i + 1][0]]:
                continue  # two answers (one of a registration) before the next beat
            out.append(((later[0] if later else time.monotonic()) - t, ttl))
        return out


class Listener:
    """accepts on a port of its own, one thread for each connection"""

    def __init__(self, beats=None):
        self.beats = beats or Beats()
        self.lock = threading.RLock()
        self.conns = []
        self.sock = None
        self.rpc = 0
        self.open()

    def open(self):
        self.sock = socket.socket()
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.sock.bind(('127.0.0.1', self.rpc))
        self.rpc = self.sock.getsockname()[1]
        self.sock.listen(64)
        threading.Thread(target=self._accept, args=(self.sock,), daemon=True).start()

    def _accept(self, sock):
        while True:
            try:
                c, _ = sock.accept()
            except OSError:
                return
            c.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self.lock:
                self.conns.append(c)
            threading.Thread(target=self._serve, args=(c,), daemon=True).start()

    def _serve(self, c):
        try:
            self.serve(c)
        except (OSError, EOFError, Short):
            pass
        finally:
            self.drop(c)

    def drop(self, c):
        with self.lock:
            if c in self.conns:
                self.conns.remove(c)
        c.close()

    def serve(self, c):
        raise NotImplementedError

    def away(self):
        """no listener, no connections"""
        with self.lock:
            for s in [self.sock, *self.conns]:
                try:
                    s.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
            self.sock.close()

    close = away


class Tap(Listener):
    """Forwards to a real server; sees heartbeats go by and the TTL of each answer come back."""

    def __init__(self, target):
        self.target = target
        self.lost = set()
        self.registrations = 0
        super().__init__()

    def serve(self, c):
        up = socket.create_connection(('127.0.0.1', self.target), 10)
        up.settimeout(None)
        up.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self.lock:
            self.conns.append(up)
        threading.Thread(target=self._copy, args=(up, c, c, self._look_down), daemon=True).start()
        try:
            self._copy(c, up, c, self._look_up)
        finally:
            self.drop(up)

    def _copy(self, a, b, key, look):
        try:
            while True:
                data = a.recv(1 << 16)
                if not data:
                    break
                if key in self.lost:
                    continue
                look(data)
                b.sendall(data)
        except OSError:
            pass
        for s in (a, b):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def _look_up(self, data):
        self.registrations += data.count(b'Node.Register')
        for _ in range(data.count(b'Node.UpdateStatus')):
            self.beats.arrived()

    def _look_down(self, data):
        at = data.find(b'HeartbeatTTL')
        while at >= 0:
            try:
                ttl, _ = unpack(data, at + len('HeartbeatTTL'))
            except Short:
                return
            if isinstance(ttl, int) and ttl > 0:
                self.beats.answered(ttl / 1e9)
            at = data.find(b'HeartbeatTTL', at + 1)

    def lose_connections(self):
        """what there is stays open and carries nothing any more; new ones work"""
        with self.lock:
            self.lost.update(self.conns)


class StandIn(Listener):
    """A server that knows every node.  Reads that may block are never answered."""

    def __init__(self, ttl=2.0, beats=None):
        self.ttl_s = ttl
        self.mute = False        # takes calls, answers pings, nothing else
        self.servers = None      # what answers list; None = itself
        self.registered = []
        self.events = []
        self.index = 10
        super().__init__(beats)

    def serve(self, c):
        inbox, streams = b'', {}

        def exactly(n):
            nonlocal inbox
            while len(inbox) < n:
                more = c.recv(1 << 16)
                if not more:
                    raise EOFError
                inbox += more
            out, inbox = inbox[:n], inbox[n:]
            return out

        def frame(kind, flags, stream, payload=b'', length=None):
            c.sendall(struct.pack('>BBHII', 0, kind, flags, stream, len(payload) if length is None else length) + payload)

        assert exactly(1) == b'\x06'
        while True:
            _, kind, flags, sid, length = struct.unpack('>BBHII', exactly(12))
            payload = exactly(length) if kind == YAMUX_DATA else b''
            if kind == YAMUX_PING:
                if flags & SYN:
                    frame(YAMUX_PING, ACK, 0, length=length)
                continue
            if flags & SYN:
                streams[sid] = None
                frame(YAMUX_WINDOW, ACK, sid, length=0)
            if payload:
                if streams.get(sid) is None:
                    streams[sid], payload = b'', payload[1:]  # behind the type byte
                streams[sid] += payload
                frame(YAMUX_WINDOW, 0, sid, length=length)
                try:
                    while streams[sid]:
                        head, at = unpack(streams[sid])
                        body, at = unpack(streams[sid], at)
                        streams[sid] = streams[sid][at:]
                        self._call(head, body, lambda raw, sid=sid: frame(YAMUX_DATA, 0, sid, raw))
                except Short:
                    pass
            if flags & FIN and sid in streams:
                del streams[sid]

    def _call(self, head, body, send):
        method = head['ServiceMethod']
        with self.lock:
            if self.mute:
                return
            if method == 'Node.UpdateStatus':
                self.beats.arrived()
            reply = self.answer(method, body)
            if reply is None:
                return
            if 'HeartbeatTTL' in reply:
                self.beats.answered(self.ttl_s)
        send(pack({'Seq': head['Seq'], 'ServiceMethod': method, 'Error': ''}) + pack(reply))

    def answer(self, method, body):
        if method == 'Status.Ping':
            return {}
        if method == 'Node.Register':
            self.registered.append(body['Node'])
        if method in ('Node.Register', 'Node.UpdateStatus'):
            servers = [{'RPCAdvertiseAddr': f'127.0.0.1:{p}'} for p in self.servers or [self.rpc]]
            return {'HeartbeatTTL': int(self.ttl_s * 1e9), 'NumNodes': 1, 'LeaderRPCAddr': f'127.0.0.1:{self.rpc}',
                    'Servers': servers, 'Index': 0}
        if method == 'Node.EmitEvents':
            for events in body['NodeEvents'].values():
                self.events += events
            self.index += 1
            return {'Index': self.index}
        return None
