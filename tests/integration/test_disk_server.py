"""A disk in trouble under picket-server: full, slow, broken, read-only, gone, damaged.

Writes are refused with the reason, reads and heartbeats go on, nothing that was answered is lost, and when the disk is well
again so is the server, without anybody's help.
"""
import errno
import mmap
import os
import shutil
import signal
import struct
import subprocess
import time
import unittest
import uuid

from load import Load
from programs import BIN, ProgramCase, http_get
from wire import Rpc, beat, fake_node, register, wait_until

SYNC, WRITE, TRUNCATE, LOG, DATABASE, BOTH, ENDLESS = 1, 2, 4, 1, 2, 3, 0xffffffff
PRELOAD = os.path.join(os.environ.get('PICKET_BUILD') or os.path.dirname(os.path.abspath(BIN)), 'tests/preload/disk.so')
LONG_GRACE = 'heartbeat_grace = "300s"'


class Disk:
    """what tests/preload/disk.c does"""

    def __init__(self, folder):
        path = os.path.join(folder, 'control')
        with open(path, 'wb') as f:
            f.write(bytes(4096))
        self.file = open(path, 'r+b')
        self.map = mmap.mmap(self.file.fileno(), 4096)
        asan = ':'.join(filter(None, [os.environ.get('ASAN_OPTIONS'), 'verify_asan_link_order=0']))
        self.env = {'LD_PRELOAD': PRELOAD, 'DISK_CONTROL': path, 'ASAN_OPTIONS': asan}

    def fail(self, calls, files, error=0, left=ENDLESS, percent=100):
        self.map[4:24] = struct.pack('=5I', files, error, left, percent, 0)
        self.map[0:4] = struct.pack('=I', calls)

    def well(self):
        self.map[0:4] = bytes(4)

    def hits(self):
        return struct.unpack('=I', self.map[20:24])[0]

    def close(self):
        self.map.close()
        self.file.close()


class DiskCase(ProgramCase):
    def setUp(self):
        self.srv = self.server(server=LONG_GRACE)
        self.srv.bin = os.path.abspath(BIN)
        self.disk = Disk(self.srv.dir)
        self.addCleanup(self.disk.close)
        self.load = Load(self.srv, writers=2, max_nodes=100, seed=7)
        self.addCleanup(self.load.end)
        self.addCleanup(self.srv.stop, signal.SIGKILL)
        self.addCleanup(self.disk.well)
        self.prefix = ()

    def path(self, name):
        return os.path.join(self.srv.data, 'server', name)

    def start(self):
        self.srv.start(env=self.disk.env, prefix=self.prefix).wait()

    def more(self, name, n=30, seconds=120):
        """the load goes on"""
        had = getattr(self.load.ledger, name)
        wait_until(f'{n} more {name}: {self.load.told()}', lambda: getattr(self.load.ledger, name) >= had + n, seconds, 0.02)

    def begin(self):
        self.load.begin()
        self.more('answered')

    def reads_and_beats_go_on(self):
        beats = self.load.beats
        self.more('reads', 5)
        wait_until('beats', lambda: self.load.beats >= beats + 5, 120)

    def kill_and_verify(self, sig=signal.SIGKILL):
        self.srv.stop(sig, 60)
        self.load.end()
        self.disk.well()
        self.start()
        self.load.verify(everything=True)
        self.assertNotIn('heartbeat missed', self.srv.log())

    def refused_for(self, *reasons):
        for text in self.load.ledger.refusals:
            self.assertIn('state.db', text)
            self.assertTrue(any(r in text for r in reasons), (text, reasons))


class Fails(DiskCase):
    """errors of single calls; the server is killed in that state each time"""

    def run_with(self, *trouble, refused=True):
        self.begin()
        self.disk.fail(*trouble)
        if refused:
            self.more('refused')
            self.reads_and_beats_go_on()
        else:
            wait_until('it failed', lambda: self.disk.hits() > 0 and self.more('answered', 10) is None, 120)
            self.reads_and_beats_go_on()
        self.disk.well()
        self.more('answered')
        self.disk.fail(*trouble)
        wait_until('it fails again', lambda: self.disk.hits() > 0, 120)
        self.kill_and_verify()

    def test_errors_of_the_log(self):
        self.start()
        for trouble in ((SYNC, BOTH, errno.EIO), (WRITE, LOG, errno.EIO), (SYNC, BOTH, errno.ENOSPC), (WRITE, BOTH, errno.EROFS),
                        (SYNC | WRITE | TRUNCATE, BOTH, errno.EIO)):
            with self.subTest(trouble=trouble):
                self.load.ledger.refusals.clear()
                self.run_with(*trouble)
                self.refused_for(os.strerror(trouble[2]), 'no space left', 'read-only')

    def test_one_error_and_some(self):
        self.start()
        for trouble in ((SYNC, LOG, errno.EIO, 1), (WRITE, LOG, errno.EIO, 1), (SYNC, LOG, errno.EIO, ENDLESS, 30),
                        (WRITE, LOG, errno.EIO, ENDLESS, 3)):
            with self.subTest(trouble=trouble):
                self.run_with(*trouble, refused=False)

    def test_errors_when_the_log_is_copied_into_the_file(self):
        self.start()
        for trouble in ((WRITE, DATABASE, errno.EIO), (SYNC, DATABASE, errno.EIO)):
            with self.subTest(trouble=trouble):
                self.run_with(*trouble, refused=False)
                self.assertEqual(self.load.ledger.refused, 0, self.load.ledger.refusals)
        self.kill_and_verify(signal.SIGTERM)


class Stalls(DiskCase):
    def stalled(self):
        """the server with all writes waiting for the disk, and a node that beats meanwhile"""
        self.start()
        self.node = fake_node(str(uuid.uuid4()), str(uuid.uuid4()), Name='other')
        self.beater = Rpc(self.srv.rpc, timeout=60)
        self.addCleanup(self.beater.close)
        register(self.beater, self.node)
        self.begin()
        self.disk.fail(SYNC, BOTH)
        wait_until('the disk hangs', lambda: self.disk.hits() > 0, 60)
        beat(self.beater, self.node, 'initializing')

    def test_reads_and_beats_go_on_and_writes_are_answered_afterwards(self):
        self.stalled()
        answered, end, beats = self.load.ledger.answered, time.monotonic() + 8, 0
        while time.monotonic() < end or beats < 20:
            self.assertGreater(beat(self.beater, self.node, 'initializing')['HeartbeatTTL'], 0)
            status, _, body = http_get(self.srv.http, '/v1/nodes', timeout=60)
            self.assertEqual(status, 200, body)
            beats += 1
            time.sleep(0.05)
        self.assertEqual(self.load.ledger.answered, answered, 'answered before it was durable')
        wait_until('it is said', lambda: 'hang' in self.srv.log() or 'does not answer' in self.srv.log())
        self.disk.well()
        self.more('answered')
        self.assertEqual(self.load.ledger.refused, 0, self.load.ledger.refusals)
        self.kill_and_verify()

    def test_a_stop_does_not_wait_for_ever(self):
        self.stalled()
        self.kill_and_verify(signal.SIGTERM)


@unittest.skipUnless(os.getuid() == 0, 'needs root to mount')
class Full(DiskCase):
    SIZE = 6

    def holder(self, command):
        """a process in whose mount namespace the server runs; both end with the test"""
        os.mkdir(self.srv.data, 0o700)
        p = subprocess.Popen(['unshare', '-m', '--propagation', 'private', 'sh', '-ec', f'{command}; echo ready; exec cat'],
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.addCleanup(p.wait)
        self.addCleanup(p.stdout.close)
        self.addCleanup(p.stdin.close)
        self.assertEqual(p.stdout.readline(), b'ready\n')
        self.prefix = ('nsenter', '-t', str(p.pid), '-m', '--')
        return f'/proc/{p.pid}/root'

    def fill(self, path):
        with open(path, 'wb', buffering=0) as f:
            try:
                while True:
                    f.write(bytes(4096))
            except OSError as e:
                self.assertEqual(e.errno, errno.ENOSPC)

    def test_a_file_system_that_fills_up(self):
        root = self.holder(f'mount -t tmpfs -o size={self.SIZE}m none {self.srv.data}')
        filler = root + self.srv.data + '/filler'
        self.start()
        for sig in (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM):
            self.begin()
            self.fill(filler)
            self.more('refused')
            self.reads_and_beats_go_on()
            self.refused_for('no space left')
            os.unlink(filler)
            self.more('answered')
            self.fill(filler)
            self.more('refused')
            self.srv.stop(sig, 60)
            self.load.end()
            os.unlink(filler)
            self.start()
            self.load.verify(everything=True)

    def test_started_while_full(self):
        root = self.holder(f'mount -t tmpfs -o size={self.SIZE}m none {self.srv.data}')
        filler = root + self.srv.data + '/filler'
        self.start()
        self.begin()
        self.srv.kill()
        self.load.end()
        self.fill(filler)
        self.srv.start(prefix=self.prefix)
        try:        # whether it can run without space depends on what the log needs: both are right
            wait_until('it runs or says why not', lambda: self.srv.proc.poll() is not None or
                       http_get(self.srv.http, '/v1/status/leader')[0] == 200, 60)
        finally:
            ended = self.srv.proc.poll()
        if ended is not None:
            self.assertEqual(ended, 1)
            self.assertIn('no space left', self.srv.log())
        else:
            self.load.verify()
            self.srv.kill()
        os.unlink(filler)
        self.start()
        self.load.verify(everything=True)

    def test_read_only_folder_is_refused_and_comes_back(self):
        self.holder(f'mount --bind {self.srv.data} {self.srv.data}')
        self.start()
        self.begin()
        self.srv.kill()
        self.load.end()
        subprocess.run([*self.prefix, 'mount', '-o', 'remount,bind,ro', self.srv.data], check=True)
        self.srv.start(prefix=self.prefix)
        self.assertEqual(self.srv.exit_status(), 1)
        self.assertRegex(self.srv.log(), 'cannot start.*[Rr]ead-only')
        subprocess.run([*self.prefix, 'mount', '-o', 'remount,bind,rw', self.srv.data], check=True)
        self.start()
        self.load.verify(everything=True)


class Limited(DiskCase):
    def test_files_that_must_not_grow(self):
        """a limit on the size of files: as a quota, and a signal with it"""
        self.start()
        self.begin()
        pid = str(self.srv.proc.pid)
        size = os.path.getsize(self.path('state.db-wal'))
        subprocess.run(['prlimit', '--pid', pid, f'--fsize={size}:unlimited'], check=True)
        self.more('refused')
        self.reads_and_beats_go_on()
        self.refused_for('File too large')
        subprocess.run(['prlimit', '--pid', pid, '--fsize=unlimited:unlimited'], check=True)
        self.more('answered')
        self.kill_and_verify()


class Damaged(DiskCase):
    def contents(self):
        """a log that is empty is none"""
        out = {}
        for name in ('state.db', 'state.db-wal'):
            path = self.path(name)
            if os.path.exists(path) and os.path.getsize(path) > 0:
                with open(path, 'rb') as f:
                    out[name] = f.read()
        return out

    def test_damaged_pages_are_told_and_nothing_is_changed(self):
        self.start()
        self.begin()
        self.more('answered', 300)
        self.srv.stop()
        self.load.end()
        path = self.path('state.db')
        good = self.contents()['state.db']
        pages = range(1, len(good) // 4096)
        for page in [*pages[:3], *pages[3::max(1, len(pages) // 6)]]:
            with self.subTest(page=page):
                with open(path, 'r+b') as f:
                    f.seek(page * 4096)
                    f.write(b'\x5a' * 4096)
                before = self.contents()
                self.srv.start()
                self.assertEqual(self.srv.exit_status(60), 1, 'it started')
                self.assertRegex(self.srv.log(), r'cannot start.*state\.db is corrupt')
                self.assertTrue(self.contents() == before)
                with open(path, 'wb') as f:
                    f.write(good)
        self.start()
        self.load.verify(everything=True)

    def test_damage_under_a_log_is_told_and_the_log_is_kept(self):
        self.start()
        self.begin()
        self.more('answered', 300)
        self.srv.stop()
        self.load.end()
        self.start()
        with Rpc(self.srv.rpc) as r:        # a short log: pages that it does not have are read from the file
            register(r, fake_node(str(uuid.uuid4()), str(uuid.uuid4()), Name='other'))
        self.srv.kill()
        path = self.path('state.db')
        with open(path, 'r+b') as f:
            for page in range(2, os.path.getsize(path) // 4096):
                f.seek(page * 4096)
                f.write(b'\x5a' * 4096)
        before = self.contents()
        self.assertIn('state.db-wal', before)
        self.srv.start()
        self.assertEqual(self.srv.exit_status(60), 1)
        self.assertRegex(self.srv.log(), r'cannot start.*corrupt')
        self.assertTrue(self.contents() == before)


class Removed(DiskCase):
    def test_a_folder_that_is_removed_or_moved(self):
        self.start()
        self.begin()
        os.rename(self.srv.data, self.srv.data + '.away')
        self.more('refused')
        self.reads_and_beats_go_on()
        self.refused_for('is gone')
        os.rename(self.srv.data + '.away', self.srv.data)
        self.more('answered')
        self.kill_and_verify()
        self.begin()
        shutil.rmtree(self.srv.data)
        self.more('refused')
        self.refused_for('is gone')
        self.srv.stop(signal.SIGTERM, 60)
        self.load.end()

    def test_a_log_that_is_removed_alone(self):
        self.start()
        self.begin()
        os.unlink(self.path('state.db-wal'))
        self.more('refused')
        self.reads_and_beats_go_on()
        self.refused_for('state.db-wal: it is gone')
        self.kill_and_verify(signal.SIGTERM)  # what the log had is in the file


if __name__ == '__main__':
    unittest.main()
